"""Time of each stage of an image, beside the least time that its operations and bytes need on this processor.

The peaks are measured: products of large matrices by ONNX Runtime on one thread, and copies of memory.
"""

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper
from std_msgs.msg import Header

from emotion_ros.cli.benchmark_networks import OPERATIONS, WEIGHTS
from emotion_ros.cli.benchmark_pipeline import crowd_image
from emotion_ros.config import PipelineConfig
from emotion_ros.inference.timing import median_ms
from emotion_ros.io.drawing import draw
from emotion_ros.nodes.heap import keep_freed_memory
from emotion_ros.nodes.image_conversion import to_bgr, to_jpeg, to_message
from emotion_ros.nodes.message_conversion import to_emotion_array
from emotion_ros.perception.detection import HAND_DETECTORS
from emotion_ros.perception.emotion.preprocess import region_crop, to_input
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.perception.quality import quality
from emotion_ros.perception.tracking import Tracker

MATRIX_SIZE = 1024
FACE_OPERATIONS, FACE_WEIGHTS = 2 * 165.4e6, 0.28e6
"""Operations and bytes of float32 weights, by scripts/count_operations.py for an image of 640×480. Activations are not
counted: at best they stay in the caches."""


def product(kind):
    """Return 10⁹ operations per second of a matrix product: "MatMul" in float32, "MatMulInteger" in int8."""
    types = (TensorProto.FLOAT,) * 3 if kind == "MatMul" else (TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32)
    dtypes = (np.float32, np.float32) if kind == "MatMul" else (np.uint8, np.int8)
    shape = (MATRIX_SIZE, MATRIX_SIZE)
    weights = helper.make_tensor("b", types[1], shape, np.ones(shape, dtypes[1]).tobytes(), raw=True)
    graph = helper.make_graph(
        [helper.make_node(kind, ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", types[0], (MATRIX_SIZE, MATRIX_SIZE))],
        [helper.make_tensor_value_info("c", types[2], (MATRIX_SIZE, MATRIX_SIZE))],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    feed = {"a": np.ones((MATRIX_SIZE, MATRIX_SIZE), dtypes[0])}
    return 2 * MATRIX_SIZE**3 / median_ms(lambda: session.run(None, feed)) / 1e6


def copies():
    """Return 10⁹ bytes per second, read and written, of a copy that fits into no cache."""
    source, target = np.ones(64 << 20, np.uint8), np.empty(64 << 20, np.uint8)
    return 2 * len(target) / median_ms(lambda: np.copyto(target, source)) / 1e6


def measure():
    """Return the peaks, and per stage operations, bytes, the least and the measured milliseconds."""
    keep_freed_memory()
    float32, int8, memory = product("MatMul"), product("MatMulInteger"), copies()
    image = crowd_image(1)
    pipeline = Pipeline(PipelineConfig(model="emotion_resnet18", hands=False))
    quick = Pipeline(PipelineConfig(model="emotion_resnet18_int8", hands=False))
    (person,) = pipeline.perceive(image, 0.0).people
    perception, message, face = pipeline.perceive(image, 0.1), to_message(image, Header()), person.face
    metadata, tracker = pipeline.classifier.metadata, Tracker()
    crop = region_crop(image, "face", face, (), metadata.margin, metadata.shift)
    faces = pipeline._loaded.faces
    blob = faces._to_input(image).copy()
    pixels = to_input([crop], metadata.size, metadata.color, metadata.mean, metadata.std)
    bare = {name: each.classifier._session.session._running for name, each in (("f", pipeline), ("i", quick))}
    hands = HAND_DETECTORS["mediapipe"](0.3, 4)
    ticks = iter(range(10**9))
    rows = [
        ("message to image (a view)", 0, 0, 0, lambda: to_bgr(message)),
        ("image to the detector's input", 0, image.nbytes + blob.nbytes, 0, lambda: faces._to_input(image)),
        ("faces: the network alone", FACE_OPERATIONS, blob.nbytes + FACE_WEIGHTS, float32,
         lambda: faces._session._running.run(["cells"], {"pixels": blob})),
        ("faces: network and decoding", FACE_OPERATIONS, blob.nbytes + FACE_WEIGHTS, float32,
         lambda: faces.detect(image, 0.5, 24)),
        ("faces: around a known face", None, None, 0, lambda: faces.detect(image, 0.5, 24, [face.box])),
        ("crop, upright", 0, 2 * crop.nbytes, 0,
         lambda: region_crop(image, "face", face, (), metadata.margin, metadata.shift)),
        ("crop to the classifier's input", 0, crop.nbytes + pixels.nbytes, 0,
         lambda: to_input([crop], metadata.size, metadata.color, metadata.mean, metadata.std)),
        ("classifier alone, float32", OPERATIONS, 2 * WEIGHTS, float32,
         lambda: bare["f"].run(["output_0"], {"input_0": pixels})),
        ("classifier alone, int8", OPERATIONS, WEIGHTS / 2, int8,
         lambda: bare["i"].run(["output_0"], {"input_0": pixels})),
        ("hands (MediaPipe), none in view", None, None, 0, lambda: hands.detect(image)),
        ("tracking (norfair)", None, None, 0, lambda: tracker.update([face.box], next(ticks) / 30)),
        ("quality of a face", 0, crop.nbytes, 0, lambda: quality(image, face)),
        ("EmotionArray", None, None, 0, lambda: to_emotion_array(perception, Header())),
        ("drawing, only with subscribers", 0, 2 * image.nbytes, 0, lambda: draw(image, perception)),
        ("JPEG, only with subscribers", None, None, 0, lambda: to_jpeg(image, Header(), 80)),
    ]  # fmt: skip
    stages = {}
    for name, operations, moved, rate, call in rows:
        floor = None if operations is None else max(operations / (rate or 1) / 1e6, moved / memory / 1e6)
        stages[name] = {"operations": operations, "bytes": moved, "floor ms": floor, "ms": median_ms(call)}
    for each in (pipeline, quick, hands):
        each.close()
    return {"peaks": {"float32": float32, "int8": int8, "memory": memory}, "stages": stages}


def table(figures):
    """Format the result of :func:`measure` as Markdown."""
    peaks = figures["peaks"]
    lines = [
        "",
        f"One thread: {peaks['float32']:.0f} · 10⁹ operations/s in float32, {peaks['int8']:.0f} in int8; memory "
        f"{peaks['memory']:.1f} GB/s.",
        "",
        "| stage, 640×480, one face | million operations | MB moved | floor ms | measured ms | ratio |",
        "| --- |" + " --- |" * 5,
    ]
    for name, each in figures["stages"].items():
        if each["floor ms"] is None:
            cells = ["", "", "", f"{each['ms']:.2f}", ""]
        else:
            ratio = f"{each['ms'] / each['floor ms']:.1f}" if each["floor ms"] > 0.005 else ""
            cells = [f"{each['operations'] / 1e6:.0f}", f"{each['bytes'] / 1e6:.2f}", f"{each['floor ms']:.2f}",
                     f"{each['ms']:.2f}", ratio]  # fmt: skip
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
