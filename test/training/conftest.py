"""Fixtures of the tests of trainings."""

import csv
import zipfile

import cv2
import numpy as np
import pytest

from emotion_ros.training.detector.object_kinds import FACES

FACE = (305, 112, 110, 115, 335, 155, 380, 150, 358, 175, 338, 195, 380, 192)
"""Box and landmarks of the sample's face at 640×480."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory, portrait):
    """A folder with 60 different crops of the sample's portrait, and one photo without a face."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    with (folder / "faces.csv").open("w", newline="") as file, zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        writer = csv.writer(file)
        writer.writerow(["file", *FACES.columns])
        for number in range(60):
            x, y, side = 275 + int(random.integers(20)), 70 + int(random.integers(20)), 180
            photo = cv2.convertScaleAbs(portrait[y : y + side, x : x + side], alpha=random.uniform(0.6, 1.2))
            archive.writestr(f"{number:02}.png", cv2.imencode(".png", photo)[1].tobytes())
            writer.writerow(
                [f"{number:02}.png", *(v - (x, y)[i % 2] if i not in (2, 3) else v for i, v in enumerate(FACE))]
            )
        archive.writestr("empty.png", cv2.imencode(".png", np.zeros((40, 40, 3), np.uint8))[1].tobytes())
        writer.writerow(["empty.png", *[""] * len(FACES.columns)])
    return folder
