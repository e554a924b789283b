"""Which cells answer for which face, and how wrong their answers are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

ALPHA, BETA, TOP = 0.5, 4.0, 9
"""How score and overlap weigh in the choice of cells for a face, and how many are chosen (Feng et al., "TOOD:
Task-aligned One-stage Object Detection", 2021, with an overlap that weighs less, for small boxes overlap little)."""

REACH = 1.5
"""Strides around a face's middle in which a cell may answer for it, where the face itself is smaller."""

BOX, POINTS = 2.0, 1.5
"""Weights of boxes and landmarks beside the scores."""


@dataclass(frozen=True)
class Cells:
    """Answers of all cells in pixels: scores (logits), n × cells; boxes as left, top, right, bottom, n × cells × 4;
    landmarks, n × cells × 10."""

    scores: Tensor
    boxes: Tensor
    points: Tensor


def decode(values: Tensor, centres: Tensor, strides: Tensor) -> Cells:
    """Outputs of :class:`FaceNetwork`, n × cells × 15, in pixels; see :mod:`emotion_ros.perception.detection.cells`."""
    stride = strides[:, None]
    middle = centres + values[..., 1:3] * stride
    half = values[..., 3:5].clamp(max=6).exp() * stride / 2
    points = centres.repeat(1, 5) + values[..., 5:] * stride
    return Cells(values[..., 0], torch.cat([middle - half, middle + half], -1), points)


def loss(cells: Cells, faces: Tensor, centres: Tensor, strides: Tensor) -> dict[str, Tensor]:
    """Losses of scores, boxes and landmarks.

    Args:
        cells: the answers.
        faces: n × most × 15: x, y, width, height, landmarks, and 1, 0 (not to be learned) or −1 (padding).
        centres: cells × 2, pixels.
        strides: cells.
    """
    boxes = torch.cat([faces[..., :2], faces[..., :2] + faces[..., 2:4]], -1)
    known, doubtful = faces[..., 14] == 1, faces[..., 14] == 0
    target, chosen, aligned = _assign(cells, boxes, known, centres, strides)
    wanted = aligned * chosen
    total = wanted.sum().clamp(min=1)
    each = F.binary_cross_entropy_with_logits(cells.scores, wanted, reduction="none")
    ignored = (_inside(centres, boxes) & doubtful[..., None]).any(1) & ~chosen
    scores = (each * ~ignored).sum() / total
    if not chosen.any():
        nothing = 0 * cells.boxes.sum() + 0 * cells.points.sum()
        return {"score": scores, "box": nothing, "points": nothing}
    which = target[chosen]
    rows = torch.arange(len(faces), device=faces.device)[:, None].expand_as(target)[chosen]
    truth, weight = boxes[rows, which], wanted[chosen]
    box = ((1 - _giou(cells.boxes[chosen], truth)) * weight).sum() / total
    size = (truth[:, 2:] - truth[:, :2]).mean(1, keepdim=True)
    off = (cells.points[chosen] - faces[rows, which][:, 4:14]) / size
    points = (F.smooth_l1_loss(off, torch.zeros_like(off), beta=0.02, reduction="none").sum(1) * weight).sum() / total
    return {"score": scores, "box": BOX * box, "points": POINTS * points}


@torch.no_grad()
def _assign(
    cells: Cells, boxes: Tensor, known: Tensor, centres: Tensor, strides: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Per cell, n × cells: its face, whether it is chosen, and the score it should have."""
    overlap = _iou(boxes[:, :, None], cells.boxes[:, None]).clamp(min=0)  # n × faces × cells
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    near = ((centres - middle[:, :, None]).abs().amax(-1) < REACH * strides) & _overlaps(boxes, centres, strides)
    small = (boxes[..., 2:] - boxes[..., :2]).amax(-1)[..., None] < 2 * REACH * strides
    candidates = torch.where(small, near, _inside(centres, boxes)) & known[..., None]
    metric = cells.scores.sigmoid()[:, None] ** ALPHA * overlap.clamp(min=1e-4) ** BETA * candidates
    top = metric.topk(min(TOP, metric.shape[-1]), -1)
    best = torch.zeros_like(metric, dtype=torch.bool).scatter_(-1, top.indices, True) & candidates
    held = torch.where(best, overlap.clamp(min=1e-4), torch.zeros_like(overlap))
    most, target = held.max(1)  # a cell that several faces chose answers for the one it overlaps most
    chosen = most > 0
    mine = torch.zeros_like(best).scatter_(1, target[:, None], True) & best
    peak = (metric * mine).amax(-1, keepdim=True).clamp(min=1e-9)
    good = (overlap * mine).amax(-1, keepdim=True)
    aligned = (metric / peak * good * mine).amax(1)
    return target, chosen, aligned


def _overlaps(boxes: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """Whether a cell's square touches a box, n × faces × cells."""
    half = strides / 2
    low, high = centres - half[:, None], centres + half[:, None]
    return ((low < boxes[..., None, 2:]) & (high > boxes[..., None, :2])).all(-1)


def _inside(centres: Tensor, boxes: Tensor) -> Tensor:
    """Whether a cell's middle lies in a box, n × faces × cells."""
    return ((centres > boxes[..., None, :2]) & (centres < boxes[..., None, 2:])).all(-1)


def _iou(first: Tensor, second: Tensor) -> Tensor:
    shared, union = _areas(first, second)
    return shared / union


def _areas(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Of the intersection and of the union."""
    low, high = torch.maximum(first[..., :2], second[..., :2]), torch.minimum(first[..., 2:], second[..., 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    sizes = [(each[..., 2:] - each[..., :2]).clamp(min=0).prod(-1) for each in (first, second)]
    return shared, (sizes[0] + sizes[1] - shared).clamp(min=1e-6)


def _giou(first: Tensor, second: Tensor) -> Tensor:
    """Generalised overlap (Rezatofighi et al., 2019)."""
    shared, union = _areas(first, second)
    low, high = torch.minimum(first[..., :2], second[..., :2]), torch.maximum(first[..., 2:], second[..., 2:])
    hull = (high - low).prod(-1).clamp(min=1e-6)
    return shared / union - (hull - union) / hull
