"""Detects faces with YuNet (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023) in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from emotion_ros.errors import ModelError
from emotion_ros.perception.detection.cells import STRIDES
from emotion_ros.perception.detection.emotion_faces import EmotionFaces

OUTPUTS = [f"{part}_{stride}" for stride in STRIDES for part in ("cls", "obj", "bbox", "kps")]
"""Outputs of the network: two scores, box and landmarks of the cells of each grid."""

MIN_SCORE = 1e-4
"""Lower limit of a cell's score, so that its logit is finite."""


class YuNetFaces(EmotionFaces):
    """As :class:`EmotionFaces`, with the network of YuNet, which has the same cells."""

    _MISSING = (
        "yunet: expected its ONNX file, got none; download it with emotion-ros models fetch yunet_2026may, and set "
        "face_model: yunet_2026may (label-faces: --model yunet_2026may)"
    )

    def _cells(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        return yunet_cells(self._session.run(OUTPUTS, {"input": pixels}))

    def _check_model(self, path: Path, session: ort.InferenceSession) -> None:
        check_yunet(path, session)


def check_yunet(path: Path, session: ort.InferenceSession) -> None:
    """Raise an error if a file is no YuNet that takes images of any size.

    Raises:
        ModelError: it is not.
    """
    inputs, names = session.get_inputs(), [tensor.name for tensor in session.get_outputs()]
    is_dynamic = len(inputs) == 1 and len(inputs[0].shape) == 4 and not isinstance(inputs[0].shape[3], int)
    if inputs[0].name != "input" or not is_dynamic or set(OUTPUTS) - set(names):
        raise ModelError(
            f"{path}: expected a YuNet ONNX file for images of any size, such as yunet_2026may of the catalog, got a "
            f"model with {inputs[0].name} {inputs[0].shape} and {', '.join(names)}"
        )


def yunet_cells(outputs: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the values of all cells, cells × 15, see :mod:`emotion_ros.perception.detection.cells`.

    Args:
        outputs: :data:`OUTPUTS`, in their order. The score is the geometric mean of YuNet's two, as in OpenCV.
    """
    return np.concatenate([_grid_cells(*outputs[first : first + 4]) for first in range(0, len(outputs), 4)])


def _grid_cells(
    class_score: NDArray[np.float32],
    object_score: NDArray[np.float32],
    box: NDArray[np.float32],
    points: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Return the values of one grid's cells. YuNet's coordinates are relative to the cell's corner."""
    score = np.sqrt(class_score[0] * object_score[0]).clip(MIN_SCORE, 1 - MIN_SCORE)
    logit = np.log(score / (1 - score))
    values = [logit, box[0, :, :2] - 0.5, box[0, :, 2:], points[0] - 0.5]
    return np.concatenate(values, 1).astype(np.float32)  # type: ignore[no-any-return]
