"""Markers of people for rviz2 and other 3D viewers. Imported only where visualization_msgs is installed."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence

from geometry_msgs.msg import Point, Pose, Vector3
from rclpy.duration import Duration
from rclpy.node import Node
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from emotion_ros.io.drawing import COLORS, OTHER
from emotion_ros.nodes.qos import PUBLISH
from emotion_ros.types import Emotion, ExpressionEvent, GroupMood, Perception, Position

TEXT_HEIGHT_M = 0.06
"""Height of a capital letter."""

ABOVE_EYES_M = 0.31
"""Distance from the eyes up to the middle of the text: its four lines end above the head."""

GROUP_ABOVE_EYES_M = 0.55
"""Distance from the highest eyes up to the text of the group, above the texts of the people."""

EVENT_SHOWN_S = 2.0
"""Seconds for which a text says that an expression changed."""

GROUP_NAMESPACE = "the group"
"""Namespace of the group's text; those of people are their ids, five letters."""

LIFETIME = Duration(seconds=2).to_msg()
"""Time after which a viewer removes a marker by itself, if the detector ended or its images stopped."""


def to_markers(
    perception: Perception, header: Header, events: Sequence[ExpressionEvent] = (), group: GroupMood | None = None
) -> MarkerArray:
    """Return a text above each person with a position, and one of the group above them.

    The text of a person contains id, expression and the one before it, attention, engagement and gestures. The first
    marker deletes those of earlier images, so that only people in this image are shown.

    Args:
        perception: of the image.
        header: the image's.
        events: changes of expression that are shown.
        group: None: not shown.
    """
    people = [(person, person.position) for person in perception.people if person.position is not None]
    previous = {event.id: event.from_label for event in events}
    texts = [_text(person, position, header, previous.get(person.id)) for person, position in people]
    if group is not None and people:
        texts.append(_group_text(group, [position for _, position in people], header))
    return MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL), *texts])


def _text(person: Emotion, position: Position, header: Header, previous: str | None) -> Marker:
    """Return the text of a person; ``previous``: expression that ended, empty: the person came; None: unchanged."""
    x, y, z = position
    gestures = [hand.gesture for hand in person.hands if hand.gesture not in ("", "none")]
    change = "" if previous is None else f", was {previous}" if previous else ", new"
    attention = "" if person.attention is None else f"attention {person.attention:.2f}"
    lines = [
        person.id,
        f"{person.label} {person.confidence:.2f}{change}",
        ", ".join(filter(None, (attention, person.engagement))),
        " ".join(gestures),
    ]
    blue, green, red = (value / 255 for value in COLORS.get(person.label, OTHER))
    color = ColorRGBA(r=red, g=green, b=blue, a=1.0)
    return _marker(header, person.id, Point(x=x, y=y - ABOVE_EYES_M, z=z), color, filter(None, lines))


def _group_text(group: GroupMood, positions: Sequence[Position], header: Header) -> Marker:
    x, _, z = (sum(values) / len(positions) for values in zip(*positions, strict=True))
    above = Point(x=x, y=min(y for _, y, _ in positions) - GROUP_ABOVE_EYES_M, z=z)
    lines = [f"{group.people} in view, {group.attending} attending"]
    if not math.isnan(group.valence):
        trend = "" if math.isnan(group.valence_trend) else f", {group.valence_trend:+.2f} in 10 s"
        lines.append(f"valence {group.valence:+.2f}{trend}")
    return _marker(header, GROUP_NAMESPACE, above, ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0), lines)


def _marker(header: Header, namespace: str, position: Point, color: ColorRGBA, lines: Iterable[str]) -> Marker:
    return Marker(
        header=header,
        ns=namespace,
        type=Marker.TEXT_VIEW_FACING,
        pose=Pose(position=position),
        scale=Vector3(z=TEXT_HEIGHT_M),
        color=color,
        lifetime=LIFETIME,
        text="\n".join(lines),
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
        self._events: list[tuple[float, ExpressionEvent]] = []  # with the time at which they came, monotonic

    @property
    def has_subscribers(self) -> bool:
        """Whether anybody looks at the markers."""
        return bool(self._publisher.get_subscription_count())

    def publish(self, perception: Perception, header: Header, group: GroupMood | None) -> None:
        """Publish the markers of an image, recent events, and the group, if anybody looks at them."""
        if not self.has_subscribers:
            self._events = []
            return
        now = time.monotonic()
        events = [*self._events, *((now, event) for event in perception.events)]
        self._events = [(came, event) for came, event in events if now - came < EVENT_SHOWN_S]
        self._publisher.publish(to_markers(perception, header, [event for _, event in self._events], group))

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_publisher(self._publisher)
