import json
import time
from array import array
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from ament_index_python.packages import get_package_share_directory
from emotion_ros.msg import GroupMood as GroupMoodMessage
from hostile_pictures import encoded
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from emotion_ros.errors import ImageError
from emotion_ros.io.emotion_messages import to_perception
from emotion_ros.io.encodings import BRIDGED, ENCODINGS, decode
from emotion_ros.io.event_messages import group_message, to_event, to_group
from emotion_ros.nodes import image_conversion as images
from emotion_ros.nodes.image_conversion import to_bgr, to_message
from emotion_ros.nodes.message_conversion import to_emotion_array, to_expression_event
from emotion_ros.types import Box, Emotion, ExpressionEvent, Face, GroupMood, HeadPose, Perception

OFFICIAL = {
    "vision_msgs/BoundingBox2D": "RIHS01_008eacbb0cf8f26e83795547bed013eec3675485ef386ec056d80eaaf1c1ce2f",
    "vision_msgs/Point2D": "RIHS01_eab0e83f44ab4de92ceaf76dd7d0e7638f2bdd1d16ffbe16c7a136c48e407247",
    "vision_msgs/Pose2D": "RIHS01_b0b5d1d7b4c20dd4fcde3ed1d4b289a919290572007d67a97043814db25d3648",
    "vision_msgs/ObjectHypothesis": "RIHS01_51da43cec11c01957a64d1e05a24acd18aae7745ec30b74348ad5f6d634f7f90",
    "vision_msgs/Detection2D": "RIHS01_0d12b69df5c593b3455b7346fac8205437a7d4bcb09b9e0e0b2dde787ded38ea",
    "vision_msgs/ObjectHypothesisWithPose": "RIHS01_41c12344c0396c48b81df12467c192d99b2a0eb1463c5c37194e4223251c80bc",
    "vision_msgs/Detection2DArray": "RIHS01_214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968",
    "vision_msgs/LabelInfo": "RIHS01_3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783",
    "vision_msgs/VisionClass": "RIHS01_1e4a11f0fed50b5623cb8ff26ca0e37952a48a9c074d16f804b44e9164c2037a",
    "vision_msgs/VisionInfo": "RIHS01_95d3116a17484ad91c9a2686e1d54890bbfc3ff6c6a2de137738c4950d45d284",
    "hri_msgs/Expression": "RIHS01_411b88e0604397d44775d8ec6a4bc69398fb0dfbfe864c33a40fa99ee85f1b00",
    "hri_msgs/FacialLandmarks": "RIHS01_f1d6b0ba159f4d6be1632e5dfc9cb79ce5e35da73888da2a4789bd9b35112a63",
    "hri_msgs/IdsList": "RIHS01_7e0812d1ac945c98fd3e393568d581ad0ab567f37b24eff633eab778c1bfe62d",
    "hri_msgs/NormalizedRegionOfInterest2D": "RIHS01_2e50c93f1ca166ee77af9a5424dc951ae4e452b740162a7f83c082d917dcaff5",
    "hri_msgs/EngagementLevel": "RIHS01_275391f46d2e6cc0d21085f8e02dce6a8150baa57539ec99bd9f4e0321443788",
    "hri_msgs/FacialActionUnits": "RIHS01_43f431104624b6ff7f84350f1faa3747efc8a9330dee942b717a08830a267ed3",
    "hri_msgs/Gaze": "RIHS01_e8c46fafadbeca4367ca1987944b54863fcfc0175319002a76df5298570f4ab3",
    "hri_msgs/IdsMatch": "RIHS01_1c649d4a87ca2d4fe5f606395e83a863640e411c9192dfda6d399a68019966f0",
    "tf2_msgs/TFMessage": "RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087",
}
"""Hashes of the official vision_msgs 4, hri_msgs 2 and tf2_msgs; Gesture has one more field from hri_msgs 2.2 on."""


@pytest.mark.parametrize("name", OFFICIAL)
def test_our_copies_are_the_official_messages_on_the_wire(name):
    package, message = name.split("/")
    pytest.importorskip(package, reason=f"{package} is not installed")
    description = Path(get_package_share_directory(package)) / "msg" / f"{message}.json"
    if not description.exists():
        pytest.skip("this distribution of ROS has no hashes of types")
    hashes = {each["type_name"]: each["hash_string"] for each in json.loads(description.read_text())["type_hashes"]}
    assert hashes[f"{package}/msg/{message}"] == OFFICIAL[name]


def picture():
    gradient = np.zeros((16, 24, 3), np.uint8)
    gradient[..., 0] = np.arange(24) * 8
    gradient[..., 1] = np.arange(16)[:, None] * 10
    gradient[..., 2] = 90
    return gradient


def message(data, encoding, step, width=24, height=16, bigendian=0):
    made = Image(encoding=encoding, step=step, width=width, height=height, is_bigendian=bigendian)
    made.data = array("B", data.tobytes())
    return made


TO = {
    "bgr8": None,
    "8UC3": None,
    "rgb8": cv2.COLOR_BGR2RGB,
    "bgra8": cv2.COLOR_BGR2BGRA,
    "rgba8": cv2.COLOR_BGR2RGBA,
}


@pytest.mark.parametrize("encoding", TO)
@pytest.mark.parametrize("padding", [0, 7])
def test_colour_encodings_give_the_pixels_back(encoding, padding):
    pixels = picture() if TO[encoding] is None else cv2.cvtColor(picture(), TO[encoding])
    rows = np.pad(pixels.reshape(16, -1), ((0, 0), (0, padding)), constant_values=13)
    assert np.array_equal(to_bgr(message(rows, encoding, rows.shape[1])), picture())


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_grey_becomes_three_equal_channels(encoding):
    grey = cv2.cvtColor(picture(), cv2.COLOR_BGR2GRAY)
    assert np.array_equal(to_bgr(message(grey, encoding, 24)), cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))


@pytest.mark.parametrize("encoding", ["mono16", "16UC1"])
@pytest.mark.parametrize(("order", "bigendian"), [("<u2", 0), (">u2", 1)])
def test_16_bit_grey_is_scaled_to_eight_bits_in_both_byte_orders(encoding, order, bigendian):
    grey = cv2.cvtColor(picture(), cv2.COLOR_BGR2GRAY)
    wide = (grey.astype(np.uint16) * 257 + 77).astype(order)
    assert np.array_equal(to_bgr(message(wide, encoding, 48, bigendian=bigendian))[..., 0], grey)


@pytest.mark.parametrize("encoding", ["bgr16", "16UC3", "rgb16"])
@pytest.mark.parametrize(("order", "bigendian"), [("<u2", 0), (">u2", 1)])
@pytest.mark.parametrize("padding", [0, 6])
def test_16_bit_colour_gives_the_pixels_back(encoding, order, bigendian, padding):
    pixels = picture()[..., ::-1] if encoding == "rgb16" else picture()
    rows = np.pad((pixels.reshape(16, -1).astype(np.uint16) * 257).astype(order), ((0, 0), (0, padding)))
    assert np.array_equal(to_bgr(message(rows, encoding, 2 * rows.shape[1], bigendian=bigendian)), picture())


@pytest.mark.parametrize(("order", "bigendian"), [("<f4", 0), (">f4", 1)])
def test_float_grey_is_scaled_from_one_and_clipped(order, bigendian):
    values = np.zeros((16, 24), np.float32)
    values[0, :6] = [0.0, 0.5, 1.0, 7.0, -1.0, np.nan]
    pixels = to_bgr(message(values.astype(order), "32FC1", 96, bigendian=bigendian))
    assert pixels[0, :6, 1].tolist() == [0, 128, 255, 255, 0, 0]


@pytest.mark.parametrize(("encoding", "y", "u", "v"), [("yuv422", 1, 0, 2), ("yuv422_yuy2", 0, 1, 3)])
def test_yuv422_in_both_orders(encoding, y, u, v):
    pixels = np.full((16, 48), 128, np.uint8)
    pixels[:, y::2] = 180
    pixels[:, u::4], pixels[:, v::4] = 90, 200
    assert to_bgr(message(pixels, encoding, 48))[3, 4].tolist() == pytest.approx([114, 143, 255], abs=8)


def test_nv12():
    planes = np.full((24, 24), 128, np.uint8)
    planes[:16] = 100
    assert np.ptp(to_bgr(message(planes, "nv12", 24))) == 0


def test_nv21_has_the_chroma_of_nv12_in_the_other_order():
    planes = np.full((24, 24), 150, np.uint8)
    planes[16:, ::2], planes[16:, 1::2] = 90, 180
    swapped = planes.copy()
    swapped[16:, ::2], swapped[16:, 1::2] = 180, 90
    assert np.array_equal(to_bgr(message(planes, "nv12", 24)), to_bgr(message(swapped, "nv21", 24)))
    assert not np.array_equal(to_bgr(message(planes, "nv12", 24)), to_bgr(message(swapped, "nv12", 24)))


def test_nv12_needs_both_planes():
    with pytest.raises(ImageError, match="bytes"):
        to_bgr(message(np.zeros((16, 24), np.uint8), "nv12", 24))


BAYER = {
    "bayer_rggb8": [[2, 1], [1, 0]],
    "bayer_bggr8": [[0, 1], [1, 2]],
    "bayer_gbrg8": [[1, 0], [2, 1]],
    "bayer_grbg8": [[1, 2], [0, 1]],
}


@pytest.mark.parametrize("encoding", BAYER)
def test_bayer_patterns_keep_a_flat_colour(encoding):
    color = np.array([30, 120, 220], np.uint8)
    mosaic = np.tile(color[np.array(BAYER[encoding])], (8, 12))
    assert to_bgr(message(mosaic, encoding, 24))[8, 12] == pytest.approx(color)
    wide = mosaic.astype("<u2") * 257
    assert to_bgr(message(wide, encoding.replace("8", "16"), 48))[8, 12] == pytest.approx(color)


def test_every_encoding_is_tested():
    tested = {*TO, "mono8", "8UC1", "mono16", "16UC1", "32FC1", "yuv422", "yuv422_yuy2", "bgr16", "16UC3", "rgb16"}
    bayer = {*BAYER, *(name.replace("8", "16") for name in BAYER)}
    assert set(ENCODINGS) - {"uyvy", "yuyv"} == tested | bayer


@pytest.mark.parametrize(
    ("flaw", "text"),
    [
        ({"data": np.zeros((15, 72), np.uint8)}, "height × step"),
        ({"step": 71}, "expected a step of at least 72"),
        ({"width": 0, "height": 0}, "size above zero"),
        ({"encoding": "hologram"}, "'hologram' is not known; expected one of bgr8, .*, 32FC1, .*, nv21"),
    ],
)
def test_broken_message_is_refused_with_a_reason(flaw, text):
    sound = {"data": np.zeros((16, 72), np.uint8), "encoding": "bgr8", "step": 72}
    with pytest.raises(ImageError, match=text):
        to_bgr(message(**{**sound, **flaw}))


@pytest.mark.parametrize("encoding", BRIDGED)
@pytest.mark.parametrize("pixels_of_padding", [0, 8])
@pytest.mark.parametrize("bigendian", [0, 1])
def test_cv_bridge_gives_the_same_pixels(monkeypatch, encoding, pixels_of_padding, bigendian):
    pytest.importorskip("cv_bridge", reason="cv_bridge is not installed")
    values, kind, _ = ENCODINGS[encoding]
    step = (24 + pixels_of_padding) * values * np.dtype(kind).itemsize
    noise = np.random.default_rng(1).integers(0, 255, (16, step), np.uint8)
    sent = message(noise, encoding, step, bigendian=bigendian)
    bridged = to_bgr(sent)
    monkeypatch.setattr(images, "CvBridge", None)
    assert np.array_equal(bridged, to_bgr(sent))


def test_cv_bridge_that_fails_costs_no_image_and_is_warned_of_once(monkeypatch, capfd):
    class BrokenBridge:
        def imgmsg_to_cv2(self, *_):
            raise AttributeError("_ARRAY_API not found")

    monkeypatch.setattr(images, "CvBridge", BrokenBridge)
    for _ in range(2):
        assert np.array_equal(to_bgr(message(picture()[..., ::-1], "rgb8", 72)), picture())
    assert capfd.readouterr().err.count("cv_bridge failed") == 1


def test_own_message_comes_back_unchanged():
    header = Header(frame_id="camera")
    there = to_message(picture(), header)
    assert there.header.frame_id == "camera"
    assert np.array_equal(to_bgr(there), picture())


def test_image_that_is_too_large_is_refused_before_it_is_converted(portrait):
    raw, jpeg = message(picture(), "bgr8", 72), CompressedImage(format="jpeg", data=array("B", encoded(".jpg")))
    for convert, sent, size in ((to_bgr, raw, (24, 16)), (decode, jpeg, (32, 24))):
        pixels = size[0] * size[1]
        assert convert(sent, max_pixels=pixels).shape[1::-1] == size
        with pytest.raises(ImageError, match=f"at most {pixels - 1} pixels .*, got {size[0]} × {size[1]}"):
            convert(sent, max_pixels=pixels - 1)


def test_compressed_image_with_thousands_of_scans_is_refused_before_it_is_decoded(portrait):
    jpeg = cv2.imencode(".jpg", portrait, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    empty = b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x10" + bytes(120)  # a scan that refines no coefficient
    assert decode(CompressedImage(format="jpeg", data=array("B", jpeg))).shape == portrait.shape
    start = time.process_time()
    with pytest.raises(ImageError, match="at most 64 scans"):
        decode(CompressedImage(format="jpeg", data=array("B", jpeg[:-2] + empty * 15_000 + b"\xff\xd9")))
    assert time.process_time() - start < 3


@pytest.mark.parametrize("padding", [0, 1000])
def test_jpeg_is_decoded_and_a_truncated_one_refused(portrait, padding):
    jpeg = cv2.imencode(".jpg", portrait)[1].tobytes()
    assert decode(CompressedImage(format="jpeg", data=array("B", jpeg + bytes(padding)))).shape == portrait.shape
    thumbnail = encoded(".jpg")
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    for truncated in (jpeg[:5000], jpeg[:2] + segment, jpeg[:2] + segment + jpeg[2:5000]):
        with pytest.raises(ImageError, match="ends too early"):
            decode(CompressedImage(format="jpeg", data=array("B", truncated + bytes(padding))))
    with pytest.raises(ImageError, match="got another format"):
        decode(CompressedImage(format="jpeg", data=array("B", b"hello")))


@pytest.mark.parametrize("pose", [HeadPose(0.5, -0.25, 0.125), None])
def test_head_pose_survives_the_message_and_is_nan_there_if_unknown(pose):
    face = Face(Box(8.0, 6.0, 40.0, 50.0), 0.5, np.zeros((0, 2), np.float32))
    person = Emotion("a", "happy", 1.0, np.ones(1, np.float32), 0.5, 0.25, face, head_pose=pose)
    message = to_emotion_array(Perception(64, 64, "m", ("happy",), (person,)), Header())
    assert np.isnan(message.emotions[0].head_yaw) == (pose is None)
    (back,) = to_perception(message).people
    assert back.head_pose == pose


@pytest.mark.parametrize(("attention", "engagement"), [(0.75, "engaged"), (None, "")])
def test_attention_and_engagement_survive_the_message(attention, engagement):
    face = Face(Box(8.0, 6.0, 40.0, 50.0), 0.5, np.zeros((0, 2), np.float32))
    values = {"attention": attention, "engagement": engagement}
    person = Emotion("a", "happy", 1.0, np.ones(1, np.float32), 0.5, 0.25, face, **values)
    message = to_emotion_array(Perception(64, 64, "m", ("happy",), (person,)), Header())
    assert np.isnan(message.emotions[0].attention) == (attention is None)
    (back,) = to_perception(message).people
    assert (back.attention, back.engagement) == (attention, engagement)


def test_event_survives_the_message_and_its_onset_follows_the_stamp_of_the_image():
    event = ExpressionEvent("a", 12.5, "sad", "happy", 12.0, 0.75, 0.5, 3.0)
    image = Header(frame_id="eye")
    image.stamp.sec = 1_700_000_000  # of another clock than the event
    back = to_event(to_expression_event(event, image))
    assert back == replace(event, stamp=1_700_000_000.0, onset=1_699_999_999.5)


def test_group_survives_the_message():
    group = GroupMood(3, 1, ("sad", "happy"), np.array([0.25, 0.75], np.float32), 0.5, -0.25)
    back = to_group(group_message(group, Header(), GroupMoodMessage))
    assert back.distribution.tolist() == [0.25, 0.75]
    assert replace(back, distribution=group.distribution) == group
