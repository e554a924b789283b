"""Coordinate frames of people as transforms of TF (REP-155)."""

from __future__ import annotations

from geometry_msgs.msg import Quaternion, TransformStamped, Vector3
from std_msgs.msg import Header

from emotion_ros.perception import face_frame
from emotion_ros.types import Emotion

FACE_TO_GAZE = (-0.5, 0.5, -0.5, 0.5)
"""Rotation, as x, y, z, w, from a face (x forward, z up) to a gaze (z forward, y down), which is along the face's x."""


def to_transforms(person: Emotion, header: Header, person_id: str = "") -> list[TransformStamped]:
    """Return the frames ``face_<id>`` and ``gaze_<id>`` of a person, and ``person_<person_id>`` if there is such an id.

    The face is relative to the camera, the others to the face. Nothing is returned for a person without a position or a
    head pose, and for images without a ``frame_id``.

    Args:
        person: in the image.
        header: the image's.
        person_id: of the person whose face it is; empty: unknown.
    """
    if person.position is None or person.head_pose is None or not header.frame_id:
        return []
    face = f"face_{person.id}"
    rotation = face_frame.quaternion(face_frame.face_rotation(person.position, person.head_pose))
    on_face = Header(stamp=header.stamp, frame_id=face)
    transforms = [
        _transform(header, face, person.position, rotation),
        _transform(on_face, f"gaze_{person.id}", (0.0, 0.0, 0.0), FACE_TO_GAZE),
    ]
    if person_id:
        transforms.append(_transform(on_face, f"person_{person_id}", (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)))
    return transforms


def _transform(
    header: Header, child: str, origin: tuple[float, float, float], rotation: face_frame.Quaternion
) -> TransformStamped:
    made = TransformStamped(header=header, child_frame_id=child)
    made.transform.translation = Vector3(**dict(zip("xyz", origin, strict=True)))
    made.transform.rotation = Quaternion(**dict(zip("xyzw", rotation, strict=True)))
    return made
