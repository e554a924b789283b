"""Asks the ROS graph what a node has opened, in a process of its own: python graph_of_node.py NAME [TOPIC].

A process that has started and ended many ROS contexts, as that of the tests, sometimes does not learn of new nodes.
"""

import json
import subprocess
import sys
import time

SETTLED_S, LIMIT_S = 2.0, 60.0
"""Time without a change after which the answer is complete, and time after which it is given anyway."""


def graph_of_node(name, topic=""):
    """Return the names of what a node publishes, subscribes to and serves, once it publishes a topic, if one is given.

    The graph becomes known little by little, and a node opens its topics one after the other.
    """
    command = [sys.executable, __file__, name, topic]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * LIMIT_S, check=True)
    return json.loads(done.stdout)


def ask(name, topic=""):
    import rclpy

    rclpy.init()
    node = rclpy.create_node("inspector")
    answer, changed, start = {}, time.monotonic(), time.monotonic()
    complete = False
    while time.monotonic() - start < LIMIT_S and not (complete and time.monotonic() - changed > SETTLED_S):
        rclpy.spin_once(node, timeout_sec=0.1)
        try:
            latest = {
                "topics publish": sorted(t for t, _ in node.get_publisher_names_and_types_by_node(name, "/")),
                "topics subscribe": sorted(t for t, _ in node.get_subscriber_names_and_types_by_node(name, "/")),
                "services reply": sorted(s for s, _ in node.get_service_names_and_types_by_node(name, "/")),
            }
        except Exception:  # rclpy raises an error of its own if it does not know the node yet
            continue
        if latest != answer:
            answer, changed = latest, time.monotonic()
            complete = not topic or topic in answer["topics publish"]
    print(json.dumps(answer))


if __name__ == "__main__":
    ask(*sys.argv[1:])
