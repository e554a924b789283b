"""Greet happy people and comfort sad ones, each at most once in a while: python3 examples/companion.py

What is to be said goes to the topic ``say`` (std_msgs/String), where a text-to-speech node may listen. Each person
has a state: WATCHING until an emotion has lasted and words were said, then COOLING_DOWN, in which nothing is said.

A face that looks sad is no proof of sadness: the words below ask, they do not claim.
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
    """What is known of somebody in view; times in seconds of the images' stamps."""

    state: State = State.WATCHING
    label: str = ""
    since: float = 0.0
    spoken_to: float = 0.0
    last_seen: float = 0.0


class Companion(Node):
    """Speaks where an emotion has lasted for ``lasting`` seconds; to the same person not again for ``cool_down``."""

    def __init__(self):
        super().__init__("companion")
        self.lasting = self.declare_parameter("lasting", 1.5).value
        self.cool_down = self.declare_parameter("cool_down", 60.0).value
        self.sure = self.declare_parameter("sure", 0.6).value
        self.people = {}
        self.voice = self.create_publisher(String, "say", 5)
        self.create_subscription(EmotionArray, "emotions", self.on_emotions, 5)

    def on_emotions(self, message):
        now = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
        for seen in message.emotions:
            person = self.people.setdefault(seen.id, Person())
            person.last_seen = now
            words = self.step(person, seen.label if seen.confidence >= self.sure else "", now)
            if words:
                self.get_logger().info(f"to {seen.id}: {words}")
                self.voice.publish(String(data=words))
        self.people = {id: each for id, each in self.people.items() if abs(now - each.last_seen) < self.cool_down}

    def step(self, person, label, now):
        """The next state of a person; words where there is something to say."""
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
