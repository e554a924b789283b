"""The kinds of objects that a detector can be trained for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ObjectKind:
    """A kind of object and the landmarks that the detector predicts for it.

    ``name``: value of ``kind`` in a model's metadata. ``points``: the landmarks, in the order of all arrays.
    ``mirrored``: for each landmark, the one that takes its place in a mirrored image.
    """

    name: str
    points: tuple[str, ...]
    mirrored: tuple[int, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a CSV file with a row per object: box in pixels, then x and y of each landmark."""
        return ("x", "y", "w", "h", *(f"{point}_{axis}" for point in self.points for axis in "xy"))


FACES = ObjectKind("faces", ("right_eye", "left_eye", "nose", "mouth_right", "mouth_left"), (1, 0, 2, 4, 3))
"""Right and left are the person's."""

HANDS = ObjectKind("hands", ("wrist", "middle_knuckle"), (0, 1))

OBJECT_KINDS = {kind.name: kind for kind in (FACES, HANDS)}
