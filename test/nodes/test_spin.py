"""A node lives on if a subscription is destroyed before its events are handled."""

import sys

CODE = """
import time
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from emotion_ros.nodes.spin import spin_node

class Subscriber(Node):
    def start(self):
        self.images = self.create_subscription(Image, "image_raw", print, 5)
        self.timer = self.create_timer(0.2, self.destroy)

    def destroy(self):
        self.timer.cancel()
        self.create_publisher(Image, "image_raw", qos_profile_sensor_data)
        time.sleep(1)  # the event of an incompatible publisher is queued
        self.destroy_subscription(self.images)
        self.timer = self.create_timer(0.5, self.context.try_shutdown)

    def stop(self):
        pass

raise SystemExit(spin_node(lambda: Subscriber("subscriber")))
"""


def test_event_of_a_destroyed_subscription_does_not_end_the_node(spawn):
    node = spawn(sys.executable, "-c", CODE)
    _, errors = node.communicate(timeout=30)
    assert node.returncode == 0, errors
