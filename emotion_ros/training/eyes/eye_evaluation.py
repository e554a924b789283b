"""Measures the eye network: by the people who no longer attend because of their eyes, and against the teacher."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from emotion_ros.config import PipelineConfig
from emotion_ros.inference.timing import median_ms
from emotion_ros.io.sources import frames
from emotion_ros.perception.attention import attention_of
from emotion_ros.perception.eye_crop import eye_width
from emotion_ros.perception.eyes import MIN_EYE_WIDTH_PX, EyelidNetwork
from emotion_ros.perception.loaded_models import create_face_detector, create_face_points
from emotion_ros.training.detector.photos import is_held_out
from emotion_ros.training.evaluation.classification_metrics import wilson
from emotion_ros.training.evaluation.evaluation_report import markdown_table
from emotion_ros.training.evaluation.group_accuracy import MIN_GROUP_PICTURES
from emotion_ros.training.eyes.eye_labels import LEFT, RIGHT, VALUES, eye_values
from emotion_ros.training.faces.mesh_labels import LABELS, FaceMeshes, read_labels
from emotion_ros.training.photo_archive import photos_archive, read_archive, read_groups
from emotion_ros.types import Face, HeadPose, Image

WIDTHS_PX = (20, 16, 12, 10, 8, 6)
"""Widths of the eyes, pixels, to which photos are reduced. The teacher saw the face in the large photo."""

REDUCED_FACES = 300
"""Faces per data set that are reduced."""

MAX_EYE_DISTANCE = 0.2
"""Distance of the eyes from labelled ones up to which a face is the labelled one, as a share of its width."""

ATTENDING = PipelineConfig.engagement_attention
"""Attention from which a face counts as looking at the camera."""

FULL_SIZE = "full size"

DIGITS = {"open_lost": 3, "correlation": 2, "median": 3, "p90": 3}
"""Figures against the teacher, and their digits in tables."""

LabelOf = Callable[[Face], "float | None"]
"""From a face to the height of its upper lids by the teacher; None: not labelled."""


@dataclass(frozen=True)
class SeenFace:
    """A face that looks at the camera by the pose of its head.

    Attributes:
        width: mean width of the eyes, pixels.
        pose: of the head.
        lid_height: by the network.
        label: the same by the teacher; None: not labelled.
        groups: kind of group to group of the person.
    """

    width: float
    pose: HeadPose
    lid_height: float
    label: float | None = None
    groups: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_lost(self) -> bool:
        """True if the face no longer attends by its eyes."""
        return attention_of(self.pose, self.lid_height) < ATTENDING

    @property
    def has_open_eyes(self) -> bool:
        """True if the face attends by the eyes as the teacher sees them."""
        return self.label is not None and attention_of(self.pose, self.label) >= ATTENDING


class EyeMeter:
    """Sees faces as the pipeline does, but reads eyes of any size."""

    def __init__(self, network: Path) -> None:
        self.network, self._config = EyelidNetwork(network, "cpu"), PipelineConfig(provider="cpu")
        self._detector, self._points = create_face_detector(self._config), create_face_points(self._config)

    def faces_of(self, image: Image) -> list[tuple[Face, SeenFace]]:
        """Return the faces of an image that look at the camera by the pose of the head."""
        faces = self._detector.detect(image, self._config.min_face_confidence, self._config.min_face_size)
        found = [
            (face, each)
            for face, each in zip(faces, self._points(image, faces), strict=True)
            if each is not None and attention_of(each.pose) >= ATTENDING
        ]
        heights = self.network.lid_heights(image, [each.points for _, each in found])
        return [
            (face, SeenFace(eye_width(each.points), each.pose, height))
            for (face, each), height in zip(found, heights, strict=True)
        ]

    def reduced(self, image: Image, face: Face, factor: float) -> SeenFace | None:
        """Return a face in a reduced image; None if it is not found there or seems to look elsewhere."""
        small: Image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        middle, side = np.array(face.box.centre) * factor, face.box.width * factor
        for other, seen in self.faces_of(small):
            if np.hypot(*(np.array(other.box.centre) - middle)) < side / 2:
                return seen
        return None


def measure_eyes(network: Path, data: Sequence[Path]) -> dict[str, Any]:
    """Measure a network.

    Args:
        network: its ONNX file.
        data: folders with ``photos.zip``, of which the held-out photos are seen, or all if there is a ``groups.csv``,
            see :func:`~emotion_ros.training.photo_archive.read_groups`; and videos. The labels of ``emotion-ros
            label-meshes`` are compared with, where there are any.

    Returns:
        ``data``: name to size of the eyes to :func:`figures_of`; ``groups``: kind of group to ``groups``, each with
        such figures, and ``gaps``, the largest differences of ``lost`` and ``open_lost``; ``face_ms``: time per face.

    Raises:
        DatasetError: photos or labels cannot be read.
        ModelError: the network cannot be used.
        SourceError: a video cannot be read.
    """
    meter = EyeMeter(network)
    seen = {path.name: _measure(meter, path) for path in data}
    full = [face for sizes in seen.values() for face in sizes[FULL_SIZE]]
    return {
        "data": {name: {size: figures_of(each) for size, each in sizes.items()} for name, sizes in seen.items()},
        "groups": _group_figures(full),
        "face_ms": _time(meter.network),
    }


def figures_of(faces: Sequence[SeenFace]) -> dict[str, Any]:
    """Return figures of faces that attend by the head.

    Returns:
        ``faces``; ``lost``: share of them that no longer attends by the eyes, and its 95 % ``interval``; ``open_lost``:
        the same share of those whose eyes the teacher sees open; ``correlation``, ``median`` and ``p90`` error of the
        lids against the teacher. None: too few faces.
    """
    figures = dict.fromkeys(("lost", "interval", "open_lost", "correlation", "median", "p90"))
    lost = [face.is_lost for face in faces]
    pairs = [(face.lid_height, face.label) for face in faces if face.label is not None]
    if faces:
        figures |= {"lost": sum(lost) / len(faces), "interval": wilson(sum(lost), len(faces))}
    if len(pairs) >= MIN_GROUP_PICTURES:
        heights, labels = np.array(pairs).T
        median, p90 = np.percentile(np.abs(heights - labels), [50, 90]).tolist()
        figures |= {"correlation": float(np.corrcoef(heights, labels)[0, 1]), "median": median, "p90": p90}
        figures["open_lost"] = float(np.mean([face.is_lost for face in faces if face.has_open_eyes] or [False]))
    return {"faces": len(faces), **figures}


def table(figures: Mapping[str, Any]) -> str:
    """Format the result of :func:`measure_eyes` as Markdown tables."""
    rows = [
        [name, size, *_cells(row)]
        for name, sizes in figures["data"].items()
        for size, row in sizes.items()
        if size == FULL_SIZE or row["faces"] >= MIN_GROUP_PICTURES
    ]
    head = ["data", "width of the eyes", "attend by the head", "of these not by the eyes", "of those with open eyes"]
    parts = [markdown_table([*head, "correlation with the teacher", "median error", "90th percentile"], rows)]
    for kind, each in figures["groups"].items():
        rows = [[group, *_cells(row)[:3]] for group, row in each["groups"].items()]
        rows.append(["**largest gap**", "", *(f"**{gap:.3f}**" for gap in each["gaps"].values())])
        parts.append(markdown_table([kind, *head[2:]], rows))
    return "\n\n".join([*parts, f"{figures['face_ms']:.2f} ms per face"])


def _measure(meter: EyeMeter, path: Path) -> dict[str, list[SeenFace]]:
    """Return the faces of a folder or video by size; at full size those whose eyes the pipeline would read."""
    sizes: dict[str, list[SeenFace]] = {FULL_SIZE: []}
    remaining = REDUCED_FACES
    for image, label_of, groups in _photos(path) if path.is_dir() else _video(path):
        for face, seen in meter.faces_of(image):
            label = label_of(face)
            if seen.width >= MIN_EYE_WIDTH_PX:
                sizes[FULL_SIZE].append(replace(seen, label=label, groups=groups))
            if seen.width >= WIDTHS_PX[0] and remaining:
                remaining -= 1
                for width in WIDTHS_PX:
                    small = meter.reduced(image, face, width / seen.width)
                    sizes.setdefault(f"{width} px", []).extend([replace(small, label=label)] if small else [])
    return sizes


def _photos(folder: Path) -> Iterator[tuple[Image, LabelOf, Mapping[str, str]]]:
    groups = read_groups(folder)
    labels = read_labels(folder / LABELS) if (folder / LABELS).is_file() else None
    for name, image in read_archive(photos_archive(folder)):
        if groups or is_held_out(name):
            yield image, lambda face, name=name: _label(name, face, labels), groups.get(name, {})  # type: ignore[misc]


def _video(path: Path) -> Iterator[tuple[Image, LabelOf, Mapping[str, str]]]:
    for frame in frames(str(path)):
        if frame.image is not None:
            yield frame.image, lambda _: None, {}


def _label(name: str, face: Face, labels: FaceMeshes | None) -> float | None:
    rows = np.flatnonzero(labels.names == name) if labels else ()
    if labels is None or not len(rows):
        return None
    distances = np.hypot(*(labels.landmarks[rows, :2].mean(1) - face.landmarks[:2].mean(0)).T)
    if distances.min() > MAX_EYE_DISTANCE * face.box.width:
        return None
    mesh = labels.meshes[rows[distances.argmin()]]
    return float(np.mean([eye_values(mesh, eye)[VALUES.index("upper_lid")] for eye in (RIGHT, LEFT)]))


def _group_figures(faces: Iterable[SeenFace]) -> dict[str, dict[str, Any]]:
    members: dict[str, dict[str, list[SeenFace]]] = defaultdict(lambda: defaultdict(list))
    for face in faces:
        for kind, group in face.groups.items():
            members[kind][group].append(face)
    figures = {}
    for kind, groups in members.items():
        rows = {group: figures_of(each) for group, each in sorted(groups.items())}
        figures[kind] = {"groups": rows, "gaps": {share: _gap(rows.values(), share) for share in ("lost", "open_lost")}}
    return figures


def _gap(rows: Iterable[Mapping[str, Any]], share: str) -> float:
    shares = [row[share] for row in rows if row["faces"] >= MIN_GROUP_PICTURES and row[share] is not None]
    return max(shares) - min(shares) if shares else 0.0


def _time(network: EyelidNetwork) -> float:
    """Return the median milliseconds for both eyes of a face, crops included."""
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    points = np.zeros((70, 2), np.float32)
    points[[36, 39, 42, 45]] = (280, 220), (308, 220), (332, 220), (360, 220)
    return median_ms(lambda: network.lid_heights(image, [points]))  # type: ignore[arg-type]


def _cells(row: Mapping[str, Any]) -> list[str]:
    lost = "" if row["lost"] is None else "{:.3f} ({:.3f} to {:.3f})".format(row["lost"], *row["interval"])
    errors = [f"{row[name]:.{digits}f}" if row[name] is not None else "" for name, digits in DIGITS.items()]
    return [str(row["faces"]), lost, *errors]
