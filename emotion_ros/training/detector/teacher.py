"""YuNet as the teacher of a face detector: its values for the cells of a training image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from emotion_ros.errors import ModelError
from emotion_ros.perception.detection.yunet import OUTPUTS, check_yunet, yunet_cells


class YuNetTeacher:
    """Runs YuNet on training images, in any process."""

    def __init__(self, model: Path) -> None:
        """Load a model.

        Raises:
            ModelError: the file is missing, or is no YuNet for images of any size.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        try:
            self._session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions have no other common base
            raise ModelError(f"{model}: expected YuNet (emotion-ros models fetch yunet_2026may): {error}") from error
        check_yunet(model, self._session)

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the values of all cells of an image, see :mod:`emotion_ros.perception.detection.cells`.

        Args:
            pixels: BGR, height × width × 3, both multiples of 32.
        """
        return yunet_cells(self._session.run(OUTPUTS, {"input": pixels.transpose(2, 0, 1)[None].astype(np.float32)}))
