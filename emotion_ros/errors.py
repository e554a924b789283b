"""The exceptions of this package.

::

    EmotionRosError
    ├── ConfigError     a setting that is unknown, of the wrong type or out of range
    ├── ImageError      an image that cannot be decoded or converted
    ├── SourceError     a camera, file or folder that cannot be opened or read
    ├── ModelError      a model file that is missing, corrupt or contradicts itself
    │   └── ProviderError   a requested execution provider that is not available
    ├── DatasetError    training or test data that cannot be used as they are
    └── OutputError     a place that cannot be written to

Every message says what was expected, what was received and what to do.
"""

MAX_LINE_CHARACTERS = 500
"""Length to which :func:`one_line` cuts a text: models may have names of any length."""

DISTRIBUTIONS = {"cv2": "opencv-python", "yaml": "pyyaml", "google": "protobuf", "skimage": "scikit-image"}
"""Module name to pip package name, if they differ."""


class EmotionRosError(Exception):
    """Base of all errors that this package raises on purpose."""


class ConfigError(EmotionRosError):
    """A setting is unknown, of the wrong type or out of range."""


class ImageError(EmotionRosError):
    """An image cannot be decoded or converted."""


class SourceError(EmotionRosError):
    """A camera, file or folder cannot be opened or read."""


class ModelError(EmotionRosError):
    """A model file is missing, corrupt or contradicts itself."""


class ProviderError(ModelError):
    """A requested execution provider is not available."""


class DatasetError(EmotionRosError):
    """Training or test data cannot be used as they are."""


class OutputError(EmotionRosError):
    """A file or folder cannot be written."""


def one_line(error: Exception) -> str:
    """Return one line for the user: what is missing or wrong, and what to do. Always valid UTF-8."""
    text = str(error)
    if isinstance(error, ModuleNotFoundError):
        name = str(error.name).partition(".")[0]
        text = f"the Python library {name} is not installed: pip install {DISTRIBUTIONS.get(name, name)}"
    elif isinstance(error, MemoryError):
        text = "not enough memory; free some, use smaller images, or set hands of the detector to false"
    elif not isinstance(error, EmotionRosError):
        text = f"{type(error).__name__}: {text.strip()}".removesuffix(": ")
    line = next(iter(text.splitlines()), "")
    return line[:MAX_LINE_CHARACTERS].encode(errors="backslashreplace").decode()
