"""A head and a chest camera, each with a detector of its own in a namespace: ros2 launch examples/two_cameras.launch.py

Topics become /robot/head/emotions and /robot/chest/emotions. One node for both, which shares the model, is a parameter:
image_topics (docs/people.md).
"""

from launch_ros.actions import Node

from launch import LaunchDescription

CAMERAS = {"head": "/head_camera/color/image_raw", "chest": "/chest_camera/image_raw"}


def generate_launch_description():
    return LaunchDescription(
        Node(
            package="emotion_ros",
            executable="detector",
            name="detector",
            namespace=f"robot/{place}",
            remappings=[("image_raw", topic), ("image_raw/compressed", f"{topic}/compressed")],
            parameters=[{"hands": place == "chest", "smoothing": 0.4}],
            output="screen",
        )
        for place, topic in CAMERAS.items()
    )
