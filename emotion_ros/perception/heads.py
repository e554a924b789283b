"""Stages of the pipeline that look at each head: landmarks and pose, then the eyes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from emotion_ros.perception.attention import attention_of
from emotion_ros.perception.eyes import EyelidNetwork
from emotion_ros.perception.face_points import FacePointsNetwork, refined
from emotion_ros.perception.state import FrameState


def estimate_poses(states: Sequence[FrameState], network: FacePointsNetwork) -> list[FrameState]:
    """Add landmarks and head pose of each detected face."""
    return [_with_poses(state, network) for state in states]


def estimate_lids(states: Sequence[FrameState], network: EyelidNetwork) -> list[FrameState]:
    """Add the height of the upper lids of each face whose head faces the camera."""
    return [_with_lids(state, network) for state in states]


def _with_poses(state: FrameState, network: FacePointsNetwork) -> FrameState:
    found = network(state.frame.image, state.detected, state.frame.intrinsics)
    faces = tuple(refined(face, result) for face, result in zip(state.detected, found, strict=True))
    poses = {id: result.pose for id, result in zip(state.ids, found, strict=True) if result is not None}
    return replace(state, detected=faces, poses=poses)


def _with_lids(state: FrameState, network: EyelidNetwork) -> FrameState:
    facing = {
        id: face.points
        for id, face in zip(state.ids, state.detected, strict=True)
        if id in state.poses and attention_of(state.poses[id]) > 0  # else the eyes make no difference
    }
    heights = zip(facing, network(state.frame.image, [*facing.values()]), strict=True)
    return replace(state, lid_heights={id: height for id, height in heights if height is not None})
