"""What is processed in which image: pure functions of a camera's history, the time stamp and the settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from emotion_ros.config import PipelineConfig
from emotion_ros.types import Box, Hand

HAND_SEARCH_INTERVAL_S = 0.2
"""Seconds between two searches of the whole image for hands, while hands are tracked or after one that found none. A
hand that appears is found that much later at most; as ``face_search_interval``. With MediaPipe, a search takes three
times as long as all other stages together (docs/performance.md)."""


class HandSearch(Enum):
    """When hands are searched in an image."""

    NONE = "none"
    CONCURRENT = "concurrent"
    """In a second thread, while faces are detected and classified."""
    AFTER_FACES = "after_faces"
    """After face detection, and only if there is a face."""


@dataclass(frozen=True)
class FrameHistory:
    """What the schedule depends on. All times are stamps in seconds, −inf: never.

    Attributes:
        first_frame: first processed image.
        last_frame: last processed image.
        last_face: last image with a face.
        last_full_search: last image that was searched for faces as a whole.
        last_empty_hand_search: last image in which a search found no hand; −inf if the last search found one.
        boxes: faces in the last image, pixels.
        last_full_hand_search: last image that was searched for hands as a whole.
        hands: hands in the last image that was searched for hands.
    """

    first_frame: float = -math.inf
    last_frame: float = -math.inf
    last_face: float = -math.inf
    last_full_search: float = -math.inf
    last_empty_hand_search: float = -math.inf
    boxes: tuple[Box, ...] = ()
    last_full_hand_search: float = -math.inf
    hands: tuple[Hand, ...] = ()


@dataclass(frozen=True)
class FramePlan:
    """What is processed in one image.

    Attributes:
        regions: boxes around which faces are searched; empty: the whole image.
        hands: when hands are searched.
        tracked_hands: hands of an earlier image around which hands are searched; empty: the whole image.
    """

    regions: tuple[Box, ...]
    hands: HandSearch
    tracked_hands: tuple[Hand, ...] = ()


def is_idle(history: FrameHistory, stamp: float, track_timeout: float) -> bool:
    """Return True if no face was visible for ``track_timeout`` seconds, nor in the last image."""
    if history.first_frame == -math.inf or history.last_face == history.last_frame:
        return False
    return stamp - max(history.last_face, history.first_frame) > track_timeout


def is_due(history: FrameHistory, stamp: float, idle_rate: float, track_timeout: float) -> bool:
    """Return True if the image of this stamp is to be processed: all images, or ``idle_rate`` per second while idle."""
    if idle_rate <= 0 or not is_idle(history, stamp, track_timeout):
        return True
    return not 0 <= stamp - history.last_frame < 1 / idle_rate


def plan_frame(
    history: FrameHistory, stamp: float, config: PipelineConfig, *, hands_are_input: bool = False
) -> FramePlan:
    """Plan the processing of an image.

    Args:
        history: of the camera.
        stamp: of the image, seconds.
        config: intervals, and whether hands are detected.
        hands_are_input: the classifier's crop contains the hands: they are searched in every image.
    """
    recent_search = 0 < stamp - history.last_full_search < config.face_search_interval
    recent_hands = 0 < stamp - history.last_full_hand_search < HAND_SEARCH_INTERVAL_S
    return FramePlan(
        history.boxes if recent_search else (),
        _plan_hands(history, stamp, config, hands_are_input),
        history.hands if recent_hands else (),
    )


def _plan_hands(history: FrameHistory, stamp: float, config: PipelineConfig, hands_are_input: bool) -> HandSearch:
    since_empty_search = stamp - history.last_empty_hand_search
    if not config.hands or (not hands_are_input and 0 <= since_empty_search < HAND_SEARCH_INTERVAL_S):
        return HandSearch.NONE
    face_expected = abs(stamp - history.last_face) <= config.track_timeout
    return HandSearch.CONCURRENT if face_expected or not config.hands_require_face else HandSearch.AFTER_FACES


def select_for_classification(
    ids: Sequence[str], last_classified: Mapping[str, float], stamp: float, config: PipelineConfig
) -> frozenset[str]:
    """Select the faces to classify in an image.

    New faces are always selected. Of the others, those whose last classification is at least
    ``classification_interval`` ago, least recently classified first, until there are ``max_classifications_per_image``;
    but at least one, so that a stream of new faces does not freeze the labels of the others.

    Args:
        ids: faces in the image.
        last_classified: id to the stamp of the last classification; new faces are missing.
        stamp: of the image, seconds. A face classified at this stamp or later is selected: time went back.
        config: interval and limit (0: unlimited).
    """
    new = [id for id in ids if id not in last_classified]
    due = [
        id
        for id in ids
        if id in last_classified and not 0 < stamp - last_classified[id] < config.classification_interval
    ]
    due.sort(key=lambda id: last_classified[id])
    limit = config.max_classifications_per_image
    return frozenset([*new, *(due[: max(limit - len(new), 1)] if limit else due)])


def advance_failed(history: FrameHistory, stamp: float) -> FrameHistory:
    """History after an image that could not be processed: it counts for the idle rate, and shows no face."""
    first = stamp if history.first_frame == -math.inf or stamp < history.last_frame else history.first_frame
    return replace(history, first_frame=first, last_frame=stamp)


def advance(
    history: FrameHistory,
    stamp: float,
    plan: FramePlan,
    boxes: Sequence[Box],
    *,
    has_face: bool,
    hands: Sequence[Hand] | None,
) -> FrameHistory:
    """History after an image.

    Args:
        history: before the image.
        stamp: of the image, seconds.
        plan: followed in it.
        boxes: all detected faces, pixels.
        has_face: a face is left after false detections were removed.
        hands: detected hands; None: not searched.
    """
    if stamp < history.last_frame:  # time went back, as in a bag that is played again
        history = FrameHistory()
    return replace(
        history,
        first_frame=stamp if history.first_frame == -math.inf else history.first_frame,
        last_frame=stamp,
        last_face=stamp if has_face else history.last_face,
        last_full_search=history.last_full_search if plan.regions else stamp,
        boxes=tuple(boxes),
        **({} if hands is None else _hand_history(history, stamp, plan, hands)),
    )


def _hand_history(history: FrameHistory, stamp: float, plan: FramePlan, hands: Sequence[Hand]) -> dict[str, Any]:
    """Fields of the history that change if an image was searched for hands."""
    return {
        "last_empty_hand_search": -math.inf if hands else stamp,
        "last_full_hand_search": history.last_full_hand_search if plan.tracked_hands else stamp,
        "hands": tuple(hands),
    }
