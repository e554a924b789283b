"""Start the capture node and, if a source is given, the image source.

Nothing is stored until the service is called:
``ros2 service call /capture/start emotion_ros/srv/StartCapture "{label: happy, count: 30}"``.
"""

from launch_ros.actions import Node

from emotion_ros.nodes.graph import environment
from emotion_ros.nodes.launch_description import describe

ARGUMENTS = {
    "out": (None, "folder of the data set; gets a folder per label"),
    "image": ("image_raw", "topic of the images"),
    "source": ("", "also publish this source: sample (repeated), camera index or device, video, picture or folder"),
    "every": ("0.3", "seconds between two pictures"),
    "require": ("", "reject pictures that are not: sharp,face,hand"),
    "namespace": ("", "namespace of all nodes and topics"),
}
"""Name of each argument to its default (None: required) and description."""


def _nodes(value):
    common = {
        "package": "emotion_ros",
        "namespace": value["namespace"],
        "remappings": [("image_raw", value["image"])],
        "output": "screen",
        # Images of this package's own source pass through shared memory; those of a camera driver as each node chooses.
        "additional_env": environment() if value["source"] else {},
    }
    settings = {"out": value["out"], "every": float(value["every"]), "require": value["require"]}
    yield Node(executable="capture", name="capture", parameters=[settings], **common)
    if value["source"]:
        source = {"source": value["source"], "loop": value["source"] == "sample"}
        yield Node(executable="image_source", name="image_source", parameters=[source], **common)


def generate_launch_description():
    """Return the launch description of ``ros2 launch emotion_ros capture.launch.py``."""
    return describe(ARGUMENTS, _nodes)
