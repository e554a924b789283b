"""What was perceived, as messages."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Point
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header
from vision_msgs.msg import (
    Detection2D,
    Detection2DArray,
    LabelInfo,
    ObjectHypothesisWithPose,
    VisionClass,
    VisionInfo,
)

from emotion_ros.io.emotion_messages import MessageTypes, emotion_array
from emotion_ros.msg import Emotion as EmotionMessage
from emotion_ros.msg import EmotionArray
from emotion_ros.msg import Hand as HandMessage
from emotion_ros.types import Box, Perception

KINDS = MessageTypes(
    EmotionArray, EmotionMessage, HandMessage, RegionOfInterest, Point, lambda values: array("f", values.tobytes())
)
"""Of rclpy."""


def to_emotion_array(perception: Perception, header: Header) -> EmotionArray:
    """Everything in one message; the header is the image's."""
    return emotion_array(perception, header, KINDS)


def to_detections(perception: Perception, header: Header) -> Detection2DArray:
    """Faces with one hypothesis per emotion, the likeliest first, and hands with one of class ``hand``."""
    array_ = Detection2DArray(header=header)
    hands = [*perception.hands]
    for person in perception.people:
        order = np.argsort(-person.probabilities, kind="stable").tolist()
        scores = [(perception.labels[index], float(person.probabilities[index])) for index in order]
        array_.detections.append(_detection(person.face.box, scores, person.id, header))
        hands.extend(person.hands)
    for hand in hands:
        array_.detections.append(_detection(hand.box, [("hand", hand.confidence)], "", header))
    return array_


def to_label_info(labels: Sequence[str], floor: float, header: Header) -> LabelInfo:
    """The classes in the order of ``EmotionArray.labels``, and the confidence floor; class ids are their names."""
    classes = [VisionClass(class_id=index, class_name=label) for index, label in enumerate(labels)]
    return LabelInfo(header=header, class_map=classes, threshold=floor)


def to_vision_info(model: str, labels_topic: str, header: Header) -> VisionInfo:
    """The model, and the topic where its classes are."""
    return VisionInfo(header=header, method=model, database_location=labels_topic)


def _detection(box: Box, scores: list[tuple[str, float]], id: str, header: Header) -> Detection2D:
    detection = Detection2D(header=header, id=id)
    (detection.bbox.center.position.x, detection.bbox.center.position.y) = box.centre
    detection.bbox.size_x, detection.bbox.size_y = box.width, box.height
    for label, score in scores:
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = label, score
        detection.results.append(result)
    return detection
