"""Names of output topics."""

from __future__ import annotations

import posixpath


def topic_prefix(topic: str, alone: bool) -> str:
    """Prefix of the topics about a camera: none where it is the only one; else where its images are.

    ``left/image_raw`` gives ``left/``, ``left_camera`` gives ``left_camera/``.
    """
    if alone:
        return ""
    folder, name = posixpath.split(topic)
    return f"{folder or name}/" if name.startswith("image") else f"{topic}/"
