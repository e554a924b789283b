"""Import a library without what only its drawing or its doctests need: that costs robots start-up time and memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


class _Absent(ModuleType):
    """Stands where a module is not loaded; whatever is imported from it is None."""

    __all__: tuple[str, ...] = ()
    __path__: list[str] = []  # noqa: RUF012

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


@contextmanager
def stub_modules(*modules: str) -> Iterator[None]:
    """While this lasts, these modules import as empty ones, unless they are loaded already; afterwards as ever.

    Args:
        modules: those that the libraries which are imported meanwhile import and that no code of theirs which runs
            here calls; a package before what is in it.
    """
    absent = {name: _Absent(name) for name in modules if name not in sys.modules}
    sys.modules.update(absent)
    try:
        yield
    finally:
        for name, module in absent.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
