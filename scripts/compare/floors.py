"""Measured time of each stage of an image, beside the minimum time for its operations and bytes on this processor.

The peak rates are measured: products of large matrices by ONNX Runtime on one thread, and copies in memory.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper
from std_msgs.msg import Header

from emotion_ros.cli.benchmark_networks import RESNET18_OPERATIONS, RESNET18_WEIGHT_BYTES
from emotion_ros.cli.benchmark_pipeline import crowd_image
from emotion_ros.config import PipelineConfig
from emotion_ros.inference.catalog import default_face_model, find_model
from emotion_ros.inference.timing import median_ms
from emotion_ros.io.drawing import draw
from emotion_ros.io.heap import keep_freed_memory
from emotion_ros.nodes.image_conversion import to_bgr, to_jpeg, to_message
from emotion_ros.nodes.message_conversion import to_emotion_array
from emotion_ros.perception.baseline import SAMPLES, learn, neutral_index, take_off
from emotion_ros.perception.detection import HAND_DETECTORS, HandSettings
from emotion_ros.perception.emotion.preprocess import region_crop, to_input
from emotion_ros.perception.face_crop import CROP_SIZE_PX
from emotion_ros.perception.group import TREND_S, group_mood, update_members
from emotion_ros.perception.loaded_models import create_hand_detector
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.perception.quality import quality
from emotion_ros.perception.social import SocialTracker
from emotion_ros.perception.tracking import Tracker

MATRIX_SIZE = 1024
"""Rows and columns of the multiplied matrices."""

COPY_BYTES = 64 << 20
"""Bytes of a copy: more than any cache holds."""

FACE_NETWORK_OPERATIONS = 2 * 188.5e6
"""Operations of the face network for 640×480, by scripts/count_operations.py."""

FACE_NETWORK_WEIGHT_BYTES = 0.67e6
"""Size of its float32 weights, by scripts/count_operations.py. Intermediate results are assumed to stay in the
caches."""

POSE_NETWORK_OPERATIONS, POSE_NETWORK_WEIGHT_BYTES = 2 * 11.6e6, 0.96e6
"""Operations of the face landmark network for a face and size of its weights, by scripts/count_operations.py."""

RATE_HZ = 30.0
"""Images per second of which the stages over time get the stamps."""

MIN_RATIO_FLOOR_MS = 0.005
"""Floor below which the ratio of measured time to floor is not printed."""

MIN_CONFIDENCE, MIN_SIZE_PX, MAX_HANDS = 0.5, 24, 4
"""Detector settings."""


class Peaks(NamedTuple):
    """Highest rates of one thread: 10⁹ operations per second in float32 and int8, 10⁹ bytes per second of memory."""

    float32: float
    int8: float
    memory: float


class Stage(NamedTuple):
    """A part of the processing of one image.

    Attributes:
        name: row of the table.
        call: runs the stage.
        operations: additions and multiplications; None: unknown, no floor.
        size: bytes that are read from and written to memory.
        rate: peak rate of its operations, 10⁹ per second; 0: none are counted.
    """

    name: str
    call: Callable[[], object]
    operations: float | None = None
    size: float | None = None
    rate: float = 0.0


def product_rate(operator):
    """Return 10⁹ operations per second in a product of large matrices: "MatMul" float32, "MatMulInteger" int8."""
    is_float = operator == "MatMul"
    types = (TensorProto.FLOAT,) * 3 if is_float else (TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32)
    dtypes = (np.float32, np.float32) if is_float else (np.uint8, np.int8)
    shape = (MATRIX_SIZE, MATRIX_SIZE)
    weights = helper.make_tensor("b", types[1], shape, np.ones(shape, dtypes[1]).tobytes(), raw=True)
    graph = helper.make_graph(
        [helper.make_node(operator, ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", types[0], shape)],
        [helper.make_tensor_value_info("c", types[2], shape)],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session, inputs = single_thread_session(model.SerializeToString()), {"a": np.ones(shape, dtypes[0])}
    return 2 * MATRIX_SIZE**3 / median_ms(lambda: session.run(None, inputs)) / 1e6


def copy_rate():
    """Return 10⁹ bytes per second that a copy reads and writes."""
    source, target = np.ones(COPY_BYTES, np.uint8), np.empty(COPY_BYTES, np.uint8)
    return 2 * COPY_BYTES / median_ms(lambda: np.copyto(target, source)) / 1e6


def single_thread_session(model):
    """Load a model (path or bytes) in ONNX Runtime with one thread on the CPU, as the package does by default."""
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = 1
    return ort.InferenceSession(model, settings, providers=["CPUExecutionProvider"])


def measure():
    """Return ``peaks`` and, for each of ``stages``, operations, bytes, floor and measured time in milliseconds."""
    keep_freed_memory()
    peaks = Peaks(product_rate("MatMul"), product_rate("MatMulInteger"), copy_rate())
    image = crowd_image(1)
    pipeline = Pipeline(PipelineConfig(model="emotion_resnet18", hands=False))
    own_hands = create_hand_detector(PipelineConfig())
    hands = HAND_DETECTORS["mediapipe"](HandSettings(MAX_HANDS))
    pipeline.perceive(image, 0.0)
    perception = pipeline.perceive(image, 0.1)
    face = perception.people[0].face
    metadata = pipeline.models.emotion.classifier.metadata
    to_crop = partial(region_crop, image, "face", face, (), metadata.margin, metadata.shift)
    stages = [
        *face_stages(pipeline.models.faces, image, face, peaks),
        *pose_stages(pipeline.models.face_points, image, face, peaks),
        Stage("eyelids, both eyes", lambda: pipeline.models.eyes.lid_heights(image, [face.points])),
        *classifier_stages(metadata, to_crop, peaks),
        Stage("hands, none in view", lambda: own_hands.detect(image)),
        Stage("hands (MediaPipe), none in view", lambda: hands.detect(image)),
        *other_stages(image, face, to_crop().nbytes, perception),
        *social_stages(perception, pipeline.config),
    ]
    figures = {stage.name: stage_figures(stage, peaks) for stage in stages}
    pipeline.close()
    own_hands.close()
    hands.close()
    return {"peaks": peaks._asdict(), "stages": figures}


def face_stages(detector, image, face, peaks):
    """Return the stages from an image message to faces."""
    message, network = to_message(image, Header()), single_thread_session(str(default_face_model()))

    def to_planes():
        return np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)

    planes = to_planes()
    cost = FACE_NETWORK_OPERATIONS, planes.nbytes + FACE_NETWORK_WEIGHT_BYTES, peaks.float32
    return [
        Stage("message to image (a view)", lambda: to_bgr(message), 0, 0),
        Stage("image to the detector's input", to_planes, 0, image.nbytes + planes.nbytes),
        Stage("faces: the network", partial(network.run, ["cells"], {"pixels": planes}), *cost),
        Stage(
            "faces: including pre- and postprocessing",
            lambda: detector.detect(image, MIN_CONFIDENCE, MIN_SIZE_PX),
            *cost,
        ),
        Stage(
            "faces: around a known face",
            lambda: detector.detect(image, MIN_CONFIDENCE, MIN_SIZE_PX, [face.box]),
        ),
    ]


def pose_stages(face_points, image, face, peaks):
    """Return the stages from a face to its landmarks and the pose of its head."""
    network = single_thread_session(str(find_model("emotion_face_landmarks")))
    pixels = np.zeros((1, 1, CROP_SIZE_PX, CROP_SIZE_PX), np.float32)
    cost = POSE_NETWORK_OPERATIONS, pixels.nbytes + POSE_NETWORK_WEIGHT_BYTES, peaks.float32
    return [
        Stage("head pose: the network", partial(network.run, ["faces"], {"pixels": pixels}), *cost),
        Stage("head pose: including crop and angles", lambda: face_points(image, [face]), *cost),
    ]


def classifier_stages(metadata, to_crop, peaks):
    """Return the stages from a face to logits, with the classifier in float32 and int8."""
    crop = to_crop()
    to_pixels = partial(to_input, [crop], metadata.size, metadata.color, metadata.mean, metadata.std)
    pixels = to_pixels()
    networks = [single_thread_session(str(find_model(name))) for name in ("emotion_resnet18", "emotion_resnet18_int8")]
    float32_bytes, int8_bytes = 2 * RESNET18_WEIGHT_BYTES, RESNET18_WEIGHT_BYTES / 2
    run_float32, run_int8 = (partial(network.run, ["output_0"], {"input_0": pixels}) for network in networks)
    return [
        Stage("crop and rotation", to_crop, 0, 2 * crop.nbytes),
        Stage("crop to the classifier's input", to_pixels, 0, crop.nbytes + pixels.nbytes),
        Stage("classifier network, float32", run_float32, RESNET18_OPERATIONS, float32_bytes, peaks.float32),
        Stage("classifier network, int8", run_int8, RESNET18_OPERATIONS, int8_bytes, peaks.int8),
    ]


def other_stages(image, face, crop_bytes, perception):
    """Return tracking, face quality and the outputs."""
    tracker, numbers = Tracker(), iter(range(10**9))
    return [
        Stage("tracking", lambda: tracker.update([face.box], next(numbers) / 30)),
        Stage("face quality", lambda: quality(image, face), 0, crop_bytes),
        Stage("EmotionArray", lambda: to_emotion_array(perception, Header())),
        Stage("drawing, only with subscribers", lambda: draw(image, perception), 0, 2 * image.nbytes),
        Stage("JPEG, only with subscribers", lambda: to_jpeg(image, Header())),
    ]


def social_stages(perception, config):
    """Return what is computed over time of one person, after as many images as it remembers."""
    people, labels = perception.people, perception.labels
    ids, probabilities, neutral = {people[0].id}, people[0].probabilities, neutral_index(labels)
    tracker, memory = SocialTracker(), {"baseline": None, "members": {}}
    images, learned, grouped = (iter(range(10**9)) for _ in range(3))

    def take_off_baseline():
        stamp = float(next(learned))  # a second between two images: each is learned
        memory["baseline"] = learn(memory["baseline"], probabilities, neutral, 1.0, stamp, SAMPLES / 2)
        return take_off(memory["baseline"], probabilities, neutral)

    def group():
        now = next(grouped) / RATE_HZ
        memory["members"] = update_members(memory["members"], "", perception, now, now, config.track_timeout)
        return group_mood([*memory["members"].values()], labels, config.engagement_attention)

    for call, count in ((take_off_baseline, SAMPLES), (group, round(TREND_S * RATE_HZ))):
        for _ in range(count):
            call()
    return [
        Stage("attention, engagement, events", lambda: tracker.update(people, ids, next(images) / RATE_HZ, config)),
        Stage("personal baseline, if on, twice per second", take_off_baseline),
        Stage("group, only with subscribers", group),
    ]


def stage_figures(stage, peaks):
    """Measure a stage and compute its floor: the time for its operations or its bytes, whichever is longer."""
    floor = None
    if stage.operations is not None:
        compute_ms = stage.operations / stage.rate / 1e6 if stage.rate else 0.0
        floor = max(compute_ms, stage.size / peaks.memory / 1e6)
    return {"operations": stage.operations, "bytes": stage.size, "floor ms": floor, "ms": median_ms(stage.call)}


def table(figures):
    """Return the peaks and a Markdown table with one row per stage."""
    peaks = Peaks(**figures["peaks"])
    lines = [
        "",
        f"One thread: {peaks.float32:.0f} · 10⁹ operations/s in float32, {peaks.int8:.0f} in int8; memory "
        f"{peaks.memory:.1f} GB/s.",
        "",
        "| stage, 640×480, one face | million operations | MB moved | floor ms | measured ms | ratio |",
        "| --- |" + " --- |" * 5,
    ]
    return "\n".join([*lines, *(row(name, stage) for name, stage in figures["stages"].items())])


def row(name, stage):
    """Return a stage's row of the table."""
    measured, floor = f"{stage['ms']:.2f}", stage["floor ms"]
    if floor is None:
        cells = ["", "", "", measured, ""]
    else:
        ratio = f"{stage['ms'] / floor:.1f}" if floor > MIN_RATIO_FLOOR_MS else ""
        cells = [f"{stage['operations'] / 1e6:.0f}", f"{stage['bytes'] / 1e6:.2f}", f"{floor:.2f}", measured, ratio]
    return f"| {name} | " + " | ".join(cells) + " |"
