"""Perceive how the people in front of a robot feel.

The package's messages are generated into a folder of the same name; ``extend_path`` lets both be found
when the Python sources are imported from somewhere else than the install space.
"""

import os
from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
__version__ = "0.1.0"

# ONNX Runtime 1.31 sends telemetry unless this is set before it is loaded (Privacy.md).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
