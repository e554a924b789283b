"""Launch one detector per camera, each in a namespace: ros2 launch examples/two_cameras.launch.py

The output topics are /robot/head/emotions and /robot/chest/emotions, and people are under /robot/head/humans and
/robot/chest/humans. To process both cameras in one node, which loads the model once and publishes one list of people,
set its parameter image_topics instead (docs/people.md).
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
            parameters=[{"hands": place == "chest", "smoothing": 0.4, "humans_prefix": "humans"}],
            output="screen",
        )
        for place, topic in CAMERAS.items()
    )
