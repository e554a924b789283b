"""Replaces modules by empty ones during an import, to save start-up time and memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


class _StubModule(ModuleType):
    """An empty module; every attribute is None."""

    __all__: tuple[str, ...] = ()
    __path__: list[str] = []  # noqa: RUF012

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


@contextmanager
def stub_modules(*modules: str) -> Iterator[None]:
    """Replace modules by empty ones while the context lasts, except those that are loaded already.

    ``sys.modules`` belongs to the process: imports of the same modules in other threads get the empty ones too.

    Args:
        modules: that the imported library imports, but that no code of it that runs here uses; a package before its
            submodules.
    """
    stubs = {name: _StubModule(name) for name in modules if name not in sys.modules}
    sys.modules.update(stubs)
    try:
        yield
    finally:
        for name, stub in stubs.items():
            if sys.modules.get(name) is stub:
                del sys.modules[name]
