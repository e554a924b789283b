"""Follows people as REP-155 describes it, in a process of its own: python rep155_listener.py

Prints what it learns, one JSON object per line, until its input ends. Knows the standard and nothing of this package.
"""

import json
import sys
import threading
from functools import partial

import numpy as np
import rclpy
from hri_msgs.msg import Expression, FacialLandmarks, IdsList, IdsMatch, NormalizedRegionOfInterest2D
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Bool, Float32, String
from tf2_msgs.msg import TFMessage

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
ALIVE = QoSProfile(
    depth=10,
    reliability=ReliabilityPolicy.RELIABLE,
    liveliness=LivelinessPolicy.AUTOMATIC,
    liveliness_lease_duration=Duration(seconds=2),
)
SUBTOPICS = {
    "faces": {
        "roi": (NormalizedRegionOfInterest2D, RELIABLE),
        "cropped": (Image, RELIABLE),
        "aligned": (Image, RELIABLE),
        "landmarks": (FacialLandmarks, RELIABLE),
        "expression": (Expression, RELIABLE),
    },
    "bodies": {},
    "persons": {
        "anonymous": (Bool, LATCHED),
        "face_id": (String, LATCHED),
        "location_confidence": (Float32, RELIABLE),
    },
}


def tell(what, **details):
    print(json.dumps({"what": what, **details}), flush=True)


class Humans:
    def __init__(self, node):
        self.node = node
        self.subscriptions = {kind: {} for kind in SUBTOPICS}
        self.frames = {}
        for kind in SUBTOPICS:
            topic = f"/humans/{kind}/tracked"
            events = SubscriptionEventCallbacks(liveliness=partial(self.on_liveliness, kind))
            node.create_subscription(IdsList, topic, partial(self.on_list, kind), ALIVE, event_callbacks=events)
        node.create_subscription(IdsList, "/humans/persons/known", self.on_known, RELIABLE)
        node.create_subscription(IdsMatch, "/humans/candidate_matches", self.on_match, RELIABLE)
        node.create_subscription(TFMessage, "/tf", self.on_transforms, QoSProfile(depth=100))

    def on_liveliness(self, kind, event):
        tell("publishers", kind=kind, alive=event.alive_count)

    def on_list(self, kind, message):
        known = self.subscriptions[kind]
        for id in set(known) - set(message.ids):
            for subscription in known.pop(id):
                self.node.destroy_subscription(subscription)
            tell("vanished", kind=kind, id=id)
        for id in set(message.ids) - set(known):
            tell("appeared", kind=kind, id=id, frame=message.header.frame_id)
            known[id] = [
                self.node.create_subscription(
                    type_, f"/humans/{kind}/{id}/{name}", partial(self.on_subtopic, kind, id, name), qos
                )
                for name, (type_, qos) in SUBTOPICS[kind].items()
            ]

    def on_subtopic(self, kind, id, name, message):
        value = getattr(message, "data", None) if kind == "persons" else getattr(message, name, None)
        tell(name, kind=kind, id=id, value=value if isinstance(value, str | float | bool) else None)

    def on_known(self, message):
        tell("known", ids=list(message.ids))

    def on_match(self, message):
        pairs = {message.id1_type: message.id1, message.id2_type: message.id2}
        tell("match", face=pairs[IdsMatch.FACE], person=pairs[IdsMatch.PERSON], confidence=message.confidence)

    def on_transforms(self, message):
        for each in message.transforms:
            offset, turn = each.transform.translation, each.transform.rotation
            pose = np.eye(4)
            pose[:3, :3] = rotation(turn.x, turn.y, turn.z, turn.w)
            pose[:3, 3] = offset.x, offset.y, offset.z
            self.frames[each.child_frame_id] = each.header.frame_id, pose
            root, place = self.from_root(each.child_frame_id)
            tell(
                "frame",
                child=each.child_frame_id,
                parent=each.header.frame_id,
                stamp=each.header.stamp.sec + each.header.stamp.nanosec * 1e-9,
                root=root,
                origin=place[:3, 3].tolist(),
                axes=dict(zip("xyz", place[:3, :3].T.tolist(), strict=True)),
            )

    def from_root(self, frame):
        place = np.eye(4)
        while frame in self.frames:
            frame, pose = self.frames[frame]
            place = pose @ place
        return frame, place


def rotation(x, y, z, w):
    """Return the matrix of a unit quaternion: v + 2 q × (q × v + w v)."""
    cross = np.array([(0, -z, y), (z, 0, -x), (-y, x, 0)])
    return np.eye(3) + 2 * cross @ (cross + w * np.eye(3))


def main():
    rclpy.init()
    node = rclpy.create_node("social_behaviour")
    humans = Humans(node)
    tell("ready", kinds=list(humans.subscriptions))
    threading.Thread(target=lambda: (sys.stdin.read(), rclpy.try_shutdown()), daemon=True).start()
    while rclpy.ok():
        rclpy.spin_once(node, timeout_sec=0.1)


if __name__ == "__main__":
    main()
