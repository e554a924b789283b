"""Conversion of perceptions to ROS messages."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
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
from emotion_ros.io.event_messages import expression_event
from emotion_ros.msg import Emotion as EmotionMessage
from emotion_ros.msg import EmotionArray
from emotion_ros.msg import ExpressionEvent as ExpressionEventMessage
from emotion_ros.msg import Hand as HandMessage
from emotion_ros.types import Box, ExpressionEvent, Perception

MESSAGE_TYPES = MessageTypes(
    EmotionArray, EmotionMessage, HandMessage, RegionOfInterest, Point, lambda values: array("f", values.tobytes())
)
"""Message types of rclpy."""

ATTENTION = "attention"
"""Class of the detection whose score is a person's attention."""


def to_emotion_array(perception: Perception, header: Header) -> EmotionArray:
    """Return the message that holds the whole perception, with the image's header."""
    return emotion_array(perception, header, MESSAGE_TYPES)


def to_expression_event(event: ExpressionEvent, header: Header) -> ExpressionEventMessage:
    """Return the message of an event, with the header of the image in which it was certain."""
    return expression_event(event, header, ExpressionEventMessage, Time)


def to_detections(perception: Perception, header: Header) -> Detection2DArray:
    """Return faces with one hypothesis per label, the most probable first, hands of class ``hand``, and attention.

    Attention is a detection of its own, of class ``attention``, with id and box of the face: the scores of a face are
    probabilities of its expressions, of which many programs take the highest.
    """
    message = Detection2DArray(header=header)
    hands = [*perception.hands]
    for person in perception.people:
        order = np.argsort(-person.probabilities, kind="stable").tolist()
        scores = [(perception.labels[index], float(person.probabilities[index])) for index in order]
        message.detections.append(_detection(person.face.box, scores, person.id, header))
        hands.extend(person.hands)
    for hand in hands:
        message.detections.append(_detection(hand.box, [("hand", hand.confidence)], "", header))
    message.detections.extend(
        _detection(person.face.box, [(ATTENTION, person.attention)], person.id, header)
        for person in perception.people
        if person.attention is not None
    )
    return message


def to_label_info(labels: Sequence[str], min_confidence: float, header: Header) -> LabelInfo:
    """Return the labels in the order of ``EmotionArray.labels``, their index as id, and the minimum confidence."""
    classes = [VisionClass(class_id=index, class_name=label) for index, label in enumerate(labels)]
    return LabelInfo(header=header, class_map=classes, threshold=min_confidence)


def to_vision_info(model: str, labels_topic: str, header: Header) -> VisionInfo:
    """Return the model's name and the topic of its labels."""
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
