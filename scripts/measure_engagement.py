"""Measures engagement on labelled recordings of people by another package: python scripts/measure_engagement.py FOLDER

FOLDER is test/_obsolete_tests of https://github.com/ros4hri/hri_engagement (Apache-2.0): bags with the frames face_<id>
and gaze_<id> of each person on /tf. A bag with "dis" in its name shows people who are not engaged, the others engaged
ones.

Prints per person the median angle between gaze and camera, the distance, and the share of the time after the first 3 s
in which the person is engaged; a person is right if that is more or less than half.
"""

import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from emotion_ros.cli.markdown import markdown_table
from emotion_ros.config import PipelineConfig
from emotion_ros.perception.attention import attention_of, smooth_attention
from emotion_ros.perception.engagement import DISENGAGING, ENGAGED, advance_engagement
from emotion_ros.types import HeadPose

SETTLING_S = 3.0


def matrix(transform):
    """Return a geometry_msgs/Transform as 4 × 4."""
    turn, offset, pose = transform.rotation, transform.translation, np.eye(4)
    cross = np.array([(0, -turn.z, turn.y), (turn.z, 0, -turn.x), (-turn.y, turn.x, 0)])
    pose[:3, :3] += 2 * cross @ (cross + turn.w * np.eye(3))
    pose[:3, 3] = offset.x, offset.y, offset.z
    return pose


def observations(bag):
    """Return for each gaze frame of a bag: seconds, angle between gaze and camera in radians, distance in metres."""
    frames, people = {}, {}
    with AnyReader([bag], default_typestore=get_typestore(Stores.ROS2_HUMBLE)) as reader:
        connections = [each for each in reader.connections if each.msgtype == "tf2_msgs/msg/TFMessage"]
        for connection, time, data in reader.messages(connections):
            for each in reader.deserialize(data, connection.msgtype).transforms:
                frames[each.child_frame_id] = each.header.frame_id, matrix(each.transform)
                parent = each.header.frame_id
                if each.child_frame_id.startswith("gaze_") and parent in frames:
                    face = frames[parent][1]
                    head, gaze = face[:3, 3], (face @ frames[each.child_frame_id][1])[:3, 2]
                    distance = float(np.linalg.norm(head))
                    angle = math.acos(np.clip(-gaze @ head / distance, -1, 1))
                    people.setdefault(each.child_frame_id, []).append((time * 1e-9, angle, distance))
    return people


def engaged_share(rows):
    """Return the share of the images after the settling time in which a person is engaged."""
    config, attention, engagement, engaged = PipelineConfig(), None, None, []
    for time, angle, distance in rows:
        pose = HeadPose(angle, 0.0, 0.0)
        attention = smooth_attention(attention, attention_of(pose), time, config.attention_smoothing)
        engagement = advance_engagement(engagement, attention.value, distance, time, config)
        if time - rows[0][0] > SETTLING_S:
            engaged.append(engagement.level in (ENGAGED, DISENGAGING))
    return float(np.mean(engaged))


def main():
    table = []
    for bag in sorted(each.parent for each in Path(sys.argv[1]).rglob("metadata.yaml")):
        for person, rows in observations(bag).items():
            share, truth = engaged_share(rows), "dis" not in bag.name
            angle, distance = np.median([(math.degrees(angle), distance) for _, angle, distance in rows], axis=0)
            right = "yes" if (share > 0.5) == truth else "no"
            table.append([bag.name, person, f"{angle:.0f}°", f"{distance:.2f} m", f"{share:.2f}", right])
    print(markdown_table(["bag", "person", "angle", "distance", "engaged", "right"], table))
    print(f"{sum(row[-1] == 'yes' for row in table)} of {len(table)} people are right")


if __name__ == "__main__":
    main()
