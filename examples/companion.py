"""Greet happy people and ask sad ones if they need help, if they look at the robot: python3 examples/companion.py

Publishes the words to speak on the topic ``say`` (std_msgs/String), for a text-to-speech node. Each person has a state:
WATCHING until an emotion has lasted and words were spoken, then COOLING_DOWN, in which nothing is spoken.

A face that looks sad is no proof of sadness. The words below ask, they do not claim.
"""

import enum
from dataclasses import dataclass

import rclpy
from emotion_ros.msg import EmotionArray
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from std_msgs.msg import String

WORDS = {"happy": "Hello! You look cheerful today.", "sad": "Hello. Can I do something for you?"}


class State(enum.Enum):
    WATCHING = enum.auto()
    COOLING_DOWN = enum.auto()


@dataclass
class Person:
    """State of a person in view; times in seconds of the images' stamps."""

    state: State = State.WATCHING
    label: str = ""
    since: float = 0.0
    spoken_to: float = 0.0
    last_seen: float = 0.0


class Companion(Node):
    """Speaks when an emotion has lasted for ``lasting`` seconds, to each person at most every ``cool_down`` seconds.

    Labels with a confidence below ``min_confidence`` and people with an attention below ``min_attention`` are ignored.
    """

    def __init__(self):
        super().__init__("companion")
        self.lasting = self.declare_parameter("lasting", 1.5).value
        self.cool_down = self.declare_parameter("cool_down", 60.0).value
        self.min_confidence = self.declare_parameter("min_confidence", 0.6).value
        self.min_attention = self.declare_parameter("min_attention", 0.5).value
        self.people = {}
        self.voice = self.create_publisher(String, "say", 5)
        self.create_subscription(EmotionArray, "emotions", self.on_emotions, 5)

    def on_emotions(self, message):
        now = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
        for emotion in message.emotions:
            person = self.people.setdefault(emotion.id, Person())
            person.last_seen = now
            words = self.step(person, self.label_of(emotion), now)
            if words:
                self.get_logger().info(f"to {emotion.id}: {words}")
                self.voice.publish(String(data=words))
        self.people = {id: each for id, each in self.people.items() if abs(now - each.last_seen) < self.cool_down}

    def label_of(self, emotion):
        """Return the label to react to; empty if it is not certain, or if the person looks elsewhere."""
        averted = emotion.attention < self.min_attention  # false for NaN: without a head pose everybody is greeted
        return "" if averted or emotion.confidence < self.min_confidence else emotion.label

    def step(self, person, label, now):
        """Advance a person's state; return the words to speak, or an empty string."""
        if label != person.label:
            person.label, person.since = label, now
        if person.state is State.COOLING_DOWN and now - person.spoken_to >= self.cool_down:
            person.state = State.WATCHING
        if person.state is State.WATCHING and label in WORDS and now - person.since >= self.lasting:
            person.state, person.spoken_to = State.COOLING_DOWN, now
            return WORDS[label]
        return ""


def main():
    rclpy.init()
    try:
        rclpy.spin(Companion())
    except (KeyboardInterrupt, ExternalShutdownException):
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
