"""Launch the detector and, as requested by arguments, an image source, the live page, capture and rviz2."""

import posixpath

from launch_ros.actions import Node

from emotion_ros.nodes.graph import environment, share
from emotion_ros.nodes.launch_description import describe
from emotion_ros.nodes.starts import starts_variable

ARGUMENTS = {
    "image": ("image_raw", "topic of the images"),
    "source": ("", "also publish this source: sample (repeated), camera index or device, video, picture or folder"),
    "params_file": (str(share() / "config" / "detect.yaml"), "YAML file with parameters of the nodes"),
    "model": ("", "ONNX file of the classifier; empty: that of params_file, as for the arguments below"),
    "provider": ("", "auto, tensorrt, cuda or cpu"),
    "face_detector": ("", "emotion_faces, mediapipe, mediapipe_full or yunet"),
    "face_model": ("", "ONNX file of the face detector"),
    "hand_detector": ("", "emotion_hands or mediapipe"),
    "hand_model": ("", "ONNX file that finds hands"),
    "hand_landmark_model": ("", "ONNX file that finds the landmarks of a hand"),
    "face_landmark_model": ("", "ONNX file that finds the landmarks of a face"),
    "eye_model": ("", "ONNX file that finds the eyelids"),
    "namespace": ("", "namespace of all nodes and topics"),
    "annotated": ("annotated", "topic of the annotated images"),
    "web": ("false", "also serve the live page, http://127.0.0.1:8080 (see parameters of the node web)"),
    "capture": ("", "also start the capture node, which stores labelled pictures in this folder"),
    "rviz": ("false", "also start rviz2 with the annotated image, frames and markers of people"),
    "log_level": ("info", "debug, info, warn, error or fatal"),
}
"""Name to default and description."""

PARAMETERS = (
    "model",
    "provider",
    "face_detector",
    "face_model",
    "hand_detector",
    "hand_model",
    "hand_landmark_model",
    "face_landmark_model",
    "eye_model",
)
"""Arguments that are parameters of the detector; those that are empty do not override params_file."""

RESPAWN_DELAY_S = 2.0
"""Seconds until a detector that ended is started again. One that cannot be created ends each time."""


def _nodes(value):
    common = {
        "namespace": value["namespace"],
        "output": "screen",
        # Images of this package's own source pass through shared memory; those of a camera driver as each node chooses.
        "additional_env": environment() if value["source"] else {},
        "arguments": ["--ros-args", "--log-level", value["log_level"]],
    }
    overrides = {name: value[name] for name in PARAMETERS if value[name]}
    info = posixpath.join(posixpath.dirname(value["image"]), "camera_info")
    topics = [
        ("image_raw", value["image"]),
        ("image_raw/compressed", f"{value['image']}/compressed"),
        ("annotated", value["annotated"]),
        ("annotated/compressed", f"{value['annotated']}/compressed"),
    ]
    yield Node(
        package="emotion_ros",
        executable="detector",
        name="detector",
        parameters=[value["params_file"], overrides],
        remappings=topics,
        respawn=True,
        respawn_delay=RESPAWN_DELAY_S,
        **{**common, "additional_env": {**common["additional_env"], **starts_variable()}},
    )
    if value["source"]:
        repeated = {"loop": True} if value["source"] == "sample" else {}  # it lasts six seconds
        yield Node(
            package="emotion_ros",
            executable="image_source",
            name="image_source",
            parameters=[value["params_file"], {"source": value["source"], **repeated}],
            remappings=[topics[0], ("camera_info", info)],
            **common,
        )
    if value["web"].lower() in ("true", "1"):
        yield Node(
            package="emotion_ros",
            executable="web",
            name="web",
            parameters=[value["params_file"]],
            remappings=topics[2:],
            **common,
        )
    if value["capture"]:
        yield Node(
            package="emotion_ros",
            executable="capture",
            name="capture",
            parameters=[{"out": value["capture"]}],
            remappings=topics[:2],
            **common,
        )
    if value["rviz"].lower() in ("true", "1"):
        config = str(share() / "config" / "emotions.rviz")
        yield Node(
            package="rviz2",
            executable="rviz2",
            arguments=["-d", config],
            namespace=value["namespace"],
            remappings=topics[2:],
        )


def generate_launch_description():
    """Return the description that ``ros2 launch emotion_ros detect.launch.py`` runs."""
    return describe(ARGUMENTS, _nodes)
