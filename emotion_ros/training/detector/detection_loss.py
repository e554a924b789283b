"""Losses of the detection network, and the assignment of faces to the cells that predict them.

Shapes: n images, f faces or other objects (padded), c cells of all grids, p landmarks. Coordinates are pixels of the
image, x before y.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from emotion_ros.training.detector.photos import STATE_COLUMN

SCORE_EXPONENT, OVERLAP_EXPONENT, CELLS_PER_FACE = 0.5, 4.0, 9
"""Exponents of score and overlap in the choice of cells for a face, and the number of cells that are chosen (Feng et
al., "TOOD: Task-aligned One-stage Object Detection", 2021, who use 1, 6 and 13: here the overlap weighs less, because
small boxes overlap little)."""

SMALL_FACE_STRIDES = 1.5
"""Distance from a face's middle, in strides, within which a cell may predict a face that is smaller than that."""

BOX_WEIGHT, LANDMARK_WEIGHT = 2.0, 1.5
"""Weights of the losses of boxes and landmarks; that of the scores is 1."""

LANDMARK_BETA = 0.02
"""Landmark error, as a share of the face's size, up to which the loss is quadratic."""

MIN_OVERLAP = 1e-4
"""Lower bound of an overlap in the choice of cells: a cell without overlap can still be chosen."""

MIN_TEACHER_OVERLAP, MIN_TEACHER_SCORE = 0.3, 0.3
"""Overlap of a teacher's box with a labelled face from which its score counts, and score from which its box does."""

MAX_LOG_SIZE = 6.0
"""Upper bound of the logarithm of a box's size in strides, as at run time (see perception/detection/cells.py)."""


@dataclass(frozen=True)
class Cells:
    """Predictions of all cells.

    ``scores``: n × c, logits. ``boxes``: n × c × 4, left, top, right, bottom. ``points``: n × c × 2 p, landmarks.
    """

    scores: Tensor
    boxes: Tensor
    points: Tensor


@dataclass(frozen=True)
class Assignment:
    """Targets of all cells, n × c each.

    ``face``: int64, index of the cell's face. ``is_chosen``: bool, the cell predicts that face. ``score``: float, 0…1,
    the score it is trained for.
    """

    face: Tensor
    is_chosen: Tensor
    score: Tensor


def decode(values: Tensor, centres: Tensor, strides: Tensor) -> Cells:
    """Convert outputs of :class:`DetectionNetwork` into pixels; see :mod:`emotion_ros.perception.detection.cells`.

    Args:
        values: n × c × (5 + 2 p), float.
        centres: c × 2, pixels.
        strides: c, pixels.
    """
    stride = strides[:, None]
    middle = centres + values[..., 1:3] * stride
    half = values[..., 3:5].clamp(max=MAX_LOG_SIZE).exp() * stride / 2
    points = centres.repeat(1, values.shape[-1] // 2 - 2) + values[..., 5:] * stride
    return Cells(values[..., 0], torch.cat([middle - half, middle + half], -1), points)


def loss(cells: Cells, faces: Tensor, centres: Tensor, strides: Tensor) -> dict[str, Tensor]:
    """Compute the losses ``score``, ``box`` and ``points``, a scalar each.

    Args:
        cells: the predictions.
        faces: n × f × (5 + 2 p): x, y, width, height, landmarks (NaN if unknown), state (see
            :data:`emotion_ros.training.detector.photos.STATE_COLUMN`).
        centres: c × 2, pixels.
        strides: c, pixels.
    """
    boxes = torch.cat([faces[..., :2], faces[..., :2] + faces[..., 2:4]], -1)
    counted, ignored = faces[..., STATE_COLUMN] == 1, faces[..., STATE_COLUMN] == 0
    assigned = _assign(cells, boxes, counted, centres, strides)
    targets = assigned.score * assigned.is_chosen
    total = targets.sum().clamp(min=1)
    errors = F.binary_cross_entropy_with_logits(cells.scores, targets, reduction="none")
    is_ignored = (_inside(centres, boxes) & ignored[..., None]).any(1) & ~assigned.is_chosen
    scores = (errors * ~is_ignored).sum() / total
    if not assigned.is_chosen.any():
        zero = 0 * cells.boxes.sum() + 0 * cells.points.sum()  # keeps all parameters in the graph
        return {"score": scores, "box": zero, "points": zero}
    box, points = _geometry_losses(cells, faces, boxes, assigned, targets)
    return {"score": scores, "box": BOX_WEIGHT * box / total, "points": LANDMARK_WEIGHT * points / total}


def imitation_loss(cells: Cells, teacher: Cells, faces: Tensor) -> Tensor:
    """Compute how far the predictions are from those of a teacher, a scalar.

    Cells of the teacher whose box is on no labelled face should have found none: their score counts as 0. Boxes and
    landmarks count in proportion to the teacher's score.

    Args:
        cells: the predictions.
        teacher: of the same cells.
        faces: see :func:`loss`.
    """
    boxes = torch.cat([faces[..., :2], faces[..., :2] + faces[..., 2:4]], -1)
    scores = teacher.scores.sigmoid()
    overlap = _iou(boxes[:, :, None], teacher.boxes[:, None]) * (faces[..., STATE_COLUMN] >= 0)[..., None]
    scores = scores * (overlap.amax(1) >= MIN_TEACHER_OVERLAP)
    score = F.binary_cross_entropy_with_logits(cells.scores, scores, reduction="sum")
    total = scores.sum().clamp(min=1)
    chosen = scores >= MIN_TEACHER_SCORE
    truth, weight = teacher.boxes[chosen], scores[chosen]
    size = (truth[:, 2:] - truth[:, :2]).mean(1, keepdim=True)
    box = ((1 - _giou(cells.boxes[chosen], truth)) * weight).sum()
    points = (_landmark_loss((cells.points[chosen] - teacher.points[chosen]) / size) * weight).sum()
    return (score + BOX_WEIGHT * box + LANDMARK_WEIGHT * points) / total


def _geometry_losses(
    cells: Cells, faces: Tensor, boxes: Tensor, assigned: Assignment, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the losses of boxes and landmarks, summed over the chosen cells, weighted by their target scores."""
    chosen = assigned.is_chosen
    face = assigned.face[chosen]
    image = torch.arange(len(faces), device=faces.device)[:, None].expand_as(chosen)[chosen]
    truth, weight = boxes[image, face], targets[chosen]
    box = ((1 - _giou(cells.boxes[chosen], truth)) * weight).sum()
    size = (truth[:, 2:] - truth[:, :2]).mean(1, keepdim=True)
    errors = (cells.points[chosen] - faces[image, face][:, 4:STATE_COLUMN]) / size
    return box, (_landmark_loss(errors) * weight).sum()


def _landmark_loss(errors: Tensor) -> Tensor:
    """Return the loss of each row of landmark errors, shares of the object's size; unknown landmarks have none."""
    smooth = F.smooth_l1_loss(errors.nan_to_num(), torch.zeros_like(errors), beta=LANDMARK_BETA, reduction="none")
    return smooth.sum(1) * (10 / errors.shape[1])


@torch.no_grad()
def _assign(cells: Cells, boxes: Tensor, counted: Tensor, centres: Tensor, strides: Tensor) -> Assignment:
    """Choose for each face the cells whose score and overlap with it are highest.

    ``boxes``: n × f × 4, left, top, right, bottom. ``counted``: n × f, bool.
    """
    overlap = _iou(boxes[:, :, None], cells.boxes[:, None]).clamp(min=0)  # n × f × c
    candidates = _candidates(boxes, centres, strides) & counted[..., None]
    metric = cells.scores.sigmoid()[:, None] ** SCORE_EXPONENT * overlap.clamp(min=MIN_OVERLAP) ** OVERLAP_EXPONENT
    metric = metric * candidates
    top = metric.topk(min(CELLS_PER_FACE, metric.shape[-1]), -1)
    best = torch.zeros_like(metric, dtype=torch.bool).scatter_(-1, top.indices, True) & candidates
    # A cell that several faces chose predicts the one it overlaps most.
    highest, face = torch.where(best, overlap.clamp(min=MIN_OVERLAP), torch.zeros_like(overlap)).max(1)
    own = torch.zeros_like(best).scatter_(1, face[:, None], True) & best
    # The target score of a face's best cell is its highest overlap; of the others in proportion to their metric.
    best_metric = (metric * own).amax(-1, keepdim=True).clamp(min=1e-9)
    best_overlap = (overlap * own).amax(-1, keepdim=True)
    score = (metric / best_metric * best_overlap * own).amax(1)
    return Assignment(face, highest > 0, score)


def _candidates(boxes: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """Return the cells that may predict a face, n × f × c, bool: those in its box, or near it for a small box."""
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    near = (centres - middle[:, :, None]).abs().amax(-1) < SMALL_FACE_STRIDES * strides
    small = (boxes[..., 2:] - boxes[..., :2]).amax(-1)[..., None] < 2 * SMALL_FACE_STRIDES * strides
    return torch.where(small, near & _touches(boxes, centres, strides), _inside(centres, boxes))


def _touches(boxes: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """Return True if a cell's square touches a box, n × f × c."""
    half = strides / 2
    low, high = centres - half[:, None], centres + half[:, None]
    return ((low < boxes[..., None, 2:]) & (high > boxes[..., None, :2])).all(-1)


def _inside(centres: Tensor, boxes: Tensor) -> Tensor:
    """Return True if a cell's middle lies in a box, n × f × c."""
    return ((centres > boxes[..., None, :2]) & (centres < boxes[..., None, 2:])).all(-1)


def _iou(first: Tensor, second: Tensor) -> Tensor:
    """Return the intersection over union of boxes (left, top, right, bottom), 0…1."""
    shared, union = _areas(first, second)
    return shared / union


def _areas(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return the areas of the intersection and of the union of boxes."""
    low, high = torch.maximum(first[..., :2], second[..., :2]), torch.minimum(first[..., 2:], second[..., 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    sizes = [(boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1) for boxes in (first, second)]
    return shared, (sizes[0] + sizes[1] - shared).clamp(min=1e-6)


def _giou(first: Tensor, second: Tensor) -> Tensor:
    """Return the generalised intersection over union, −1…1 (Rezatofighi et al., 2019)."""
    shared, union = _areas(first, second)
    low, high = torch.minimum(first[..., :2], second[..., :2]), torch.maximum(first[..., 2:], second[..., 2:])
    hull = (high - low).prod(-1).clamp(min=1e-6)
    return shared / union - (hull - union) / hull
