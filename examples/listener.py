"""Print who is there and how they seem to feel: python3 examples/listener.py"""

import rclpy
from emotion_ros.msg import EmotionArray


def show(message):
    for person in message.emotions:
        print(f"{person.id}: {person.label} {person.confidence:.2f}, valence {person.valence:+.2f}", flush=True)


rclpy.init()
node = rclpy.create_node("listener")
node.create_subscription(EmotionArray, "emotions", show, 5)
try:
    rclpy.spin(node)
except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
    rclpy.try_shutdown()
