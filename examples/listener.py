"""Print the emotion of each person in view: python3 examples/listener.py"""

import rclpy
from emotion_ros.msg import EmotionArray


def on_emotions(message):
    for person in message.emotions:
        print(f"{person.id}: {person.label} {person.confidence:.2f}, valence {person.valence:+.2f}", flush=True)


rclpy.init()
node = rclpy.create_node("listener")
node.create_subscription(EmotionArray, "emotions", on_emotions, 5)
try:
    rclpy.spin(node)
except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
    rclpy.try_shutdown()
