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
