"""Perceive how the people in front of a robot feel.

The package's messages are generated into a folder of the same name; ``extend_path`` lets both be found
when the Python sources are imported from somewhere else than the install space.
"""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
__version__ = "0.1.0"
