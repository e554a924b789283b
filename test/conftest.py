from pathlib import Path

import pytest

from emotion_ros.catalog import default_model
from emotion_ros.classification.classifier import EmotionClassifier
from emotion_ros.sources import frames

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def portrait():
    """A real smiling face, 640×480."""
    return next(frames("sample")).image


@pytest.fixture(scope="session")
def classifier():
    return EmotionClassifier(default_model(), "cpu")


@pytest.fixture(scope="session")
def shared():
    """A function that gives a file beside the project, or skips where it is not there."""

    def find(name):
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"{path} is not here")
        return path

    return find
