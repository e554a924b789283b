"""YuNet as the teacher of a face detector: its values for the cells of a training image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from emotion_ros.errors import ModelError
from emotion_ros.perception.detection.cells import STRIDES

MIN_SCORE = 1e-4
"""Lower limit of a cell's score, so that its logit is finite."""


class YuNetTeacher:
    """Runs YuNet (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023) and returns the values of cells.

    YuNet has the same cells as the detector of this package.
    """

    def __init__(self, model: Path) -> None:
        """Load a model.

        Raises:
            ModelError: the file is missing, or is no YuNet with inputs of any size.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        names = [f"{part}_{stride}" for stride in STRIDES for part in ("cls", "obj", "bbox", "kps")]
        try:
            self._session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
            self._session.run(names, {"input": np.zeros((1, 3, 32, 64), np.float32)})
        except Exception as error:  # ONNX Runtime's exceptions have no other common base
            raise ModelError(
                f"{model}: expected face_detection_yunet_2026may.onnx (emotion-ros models fetch): {error}"
            ) from error
        self._names = names

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the values of all cells of an image, see :mod:`emotion_ros.perception.detection.cells`.

        Args:
            pixels: BGR, height × width × 3, both multiples of 32.

        Returns:
            Cells × 15. The score's logit is that of the geometric mean of YuNet's two scores, its confidence.
        """
        outputs = self._session.run(self._names, {"input": pixels.transpose(2, 0, 1)[None].astype(np.float32)})
        return np.concatenate([_cells(*outputs[first : first + 4]) for first in range(0, len(outputs), 4)])


def _cells(
    class_score: NDArray[np.float32],
    object_score: NDArray[np.float32],
    box: NDArray[np.float32],
    points: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Return the values of one stride's cells. YuNet's coordinates are relative to the cell's corner."""
    score = np.sqrt(class_score[0] * object_score[0]).clip(MIN_SCORE, 1 - MIN_SCORE)
    logit = np.log(score / (1 - score))
    return np.concatenate([logit, box[0, :, :2] - 0.5, box[0, :, 2:], points[0] - 0.5], 1).astype(np.float32)  # type: ignore[no-any-return]
