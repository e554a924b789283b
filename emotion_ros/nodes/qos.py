"""Quality of service of this package's topics."""

from collections.abc import Sequence
from typing import Any

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

__all__ = [
    "EVENTS",
    "LATCHED",
    "PUBLISH",
    "PublisherEventCallbacks",
    "SubscriptionEventCallbacks",
    "all_reliable",
    "image_subscription",
]

PUBLISH = QoSProfile(depth=5, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE)
"""Profile of publishers: a reliable publisher is compatible with reliable and best-effort subscribers (REP-2003)."""

EVENTS = QoSProfile(depth=50, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE)
"""Profile of events: each is published once, and none may be lost when many people change at the same time."""

LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""Profile of topics whose last message later subscribers receive too."""


def all_reliable(publishers: Sequence[Any]) -> bool:
    """Return whether there are publishers and all are reliable.

    Args:
        publishers: from :meth:`rclpy.node.Node.get_publishers_info_by_topic`.
    """
    return bool(publishers) and all(each.qos_profile.reliability == ReliabilityPolicy.RELIABLE for each in publishers)


def image_subscription(reliability: str) -> QoSProfile:
    """Return the profile of an image subscription, which keeps only the newest message.

    Args:
        reliability: ``best_effort`` or ``reliable``.
    """
    policy = ReliabilityPolicy.RELIABLE if reliability == "reliable" else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST, reliability=policy)
