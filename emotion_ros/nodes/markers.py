"""Markers of people for rviz2 and other 3D viewers. Imported only where visualization_msgs is installed."""

from __future__ import annotations

from geometry_msgs.msg import Point, Pose, Vector3
from rclpy.duration import Duration
from rclpy.node import Node
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from emotion_ros.io.drawing import COLORS, OTHER
from emotion_ros.nodes.qos import PUBLISH
from emotion_ros.types import Emotion, Perception, Position

TEXT_HEIGHT_M = 0.06
"""Height of a capital letter."""

ABOVE_EYES_M = 0.28
"""Distance from the eyes up to the middle of the text: its three lines end above the head."""

LIFETIME = Duration(seconds=2).to_msg()
"""Time after which a viewer removes a marker by itself, if the detector ended or its images stopped."""


def to_markers(perception: Perception, header: Header) -> MarkerArray:
    """Return a text above each person with a position: id, expression and gestures.

    The first marker deletes those of earlier images, so that only people in this image are shown.
    """
    people = [(person, person.position) for person in perception.people if person.position is not None]
    texts = [_text(person, position, header) for person, position in people]
    return MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL), *texts])


def _text(person: Emotion, position: Position, header: Header) -> Marker:
    x, y, z = position
    gestures = [hand.gesture for hand in person.hands if hand.gesture not in ("", "none")]
    blue, green, red = (value / 255 for value in COLORS.get(person.label, OTHER))
    return Marker(
        header=header,
        ns=person.id,
        type=Marker.TEXT_VIEW_FACING,
        pose=Pose(position=Point(x=x, y=y - ABOVE_EYES_M, z=z)),
        scale=Vector3(z=TEXT_HEIGHT_M),
        color=ColorRGBA(r=red, g=green, b=blue, a=1.0),
        lifetime=LIFETIME,
        text="\n".join([person.id, f"{person.label} {person.confidence:.2f}", " ".join(gestures)]).rstrip(),
    )


class MarkerPublisher:
    """Publishes the markers of one camera while they have subscribers.

    Args:
        node: gets the publisher.
        topic: name, resolved by the node.
    """

    def __init__(self, node: Node, topic: str) -> None:
        self._node = node
        self._publisher = node.create_publisher(MarkerArray, topic, PUBLISH)

    @property
    def has_subscribers(self) -> bool:
        """Whether anybody looks at the markers."""
        return bool(self._publisher.get_subscription_count())

    def publish(self, perception: Perception, header: Header) -> None:
        """Publish the markers of an image if anybody looks at them."""
        if self.has_subscribers:
            self._publisher.publish(to_markers(perception, header))

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_publisher(self._publisher)
