"""Findings of ``emotion-ros doctor``."""

from __future__ import annotations

from dataclasses import dataclass

OK, WARNING, ERROR = "ok", "warning", "error"
"""Levels. WARNING: something works worse than it could. ERROR: something does not work."""


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        level: :data:`OK`, :data:`WARNING` or :data:`ERROR`.
        subject: what was checked.
        text: what was found, one line.
        remedy: what to do, one line; empty if there is nothing to do.
    """

    level: str
    subject: str
    text: str
    remedy: str = ""
