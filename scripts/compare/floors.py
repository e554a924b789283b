"""Where the time of an image goes: operations and bytes of each stage, what this processor needs for them at least.

The peaks are measured, not looked up: products of large matrices by ONNX Runtime on one thread, and copies of memory.
"""

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
from emotion_ros.nodes.heap import keep_freed_memory
from emotion_ros.nodes.image_conversion import to_bgr, to_jpeg, to_message
from emotion_ros.nodes.message_conversion import to_emotion_array
from emotion_ros.perception.detection import HAND_DETECTORS
from emotion_ros.perception.emotion.preprocess import region_crop, to_input
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.perception.quality import quality
from emotion_ros.perception.tracking import Tracker

SIDE = 1024
FACE_OPERATIONS, FACE_WEIGHTS = 2 * 165.4e6, 0.28e6
"""By scripts/count_operations.py, for an image of 640×480; bytes of float32. What lies between input
and output stays in the caches at best."""


def product(kind):
    """10⁹ operations per second in a product of large matrices: "MatMul" in float32, "MatMulInteger" in int8."""
    types = (TensorProto.FLOAT,) * 3 if kind == "MatMul" else (TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32)
    dtypes = (np.float32, np.float32) if kind == "MatMul" else (np.uint8, np.int8)
    weights = helper.make_tensor("b", types[1], (SIDE, SIDE), np.ones((SIDE, SIDE), dtypes[1]).tobytes(), raw=True)
    graph = helper.make_graph(
        [helper.make_node(kind, ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", types[0], (SIDE, SIDE))],
        [helper.make_tensor_value_info("c", types[2], (SIDE, SIDE))],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    feed = {"a": np.ones((SIDE, SIDE), dtypes[0])}
    return 2 * SIDE**3 / median_ms(lambda: session.run(None, feed)) / 1e6


def copies():
    """10⁹ bytes per second that are read and written by a copy that fits into no cache."""
    there, here = np.ones(64 << 20, np.uint8), np.empty(64 << 20, np.uint8)
    return 2 * len(here) / median_ms(lambda: np.copyto(here, there)) / 1e6


def network(path):
    """One thread of ONNX Runtime, as the package uses it."""
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = 1
    return ort.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])


def measure():
    """Peaks, and per stage operations, bytes, the floor they imply and what was measured, in milliseconds."""
    keep_freed_memory()
    float32, int8, memory = product("MatMul"), product("MatMulInteger"), copies()
    image = crowd_image(1)
    pipeline = Pipeline(PipelineConfig(model="emotion_resnet18", hands=False))
    quick = Pipeline(PipelineConfig(model="emotion_resnet18_int8", hands=False))
    (person,) = pipeline.perceive(image, 0.0).people
    perception, message, face = pipeline.perceive(image, 0.1), to_message(image, Header()), person.face
    metadata, tracker = pipeline.models.emotion.classifier.metadata, Tracker()
    crop = region_crop(image, "face", face, (), metadata.margin, metadata.shift)
    faces = pipeline.models.faces
    blob = np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)
    pixels = to_input([crop], metadata.size, metadata.color, metadata.mean, metadata.std)
    bare = {name: network(find_model(name)) for name in ("emotion_resnet18", "emotion_resnet18_int8")}
    bare["emotion_faces"] = network(default_face_model())
    hands = HAND_DETECTORS["mediapipe"](4)
    ticks = iter(range(10**9))
    rows = [
        ("message to image (a view)", 0, 0, 0, lambda: to_bgr(message)),
        ("image to the detector's input", 0, image.nbytes + blob.nbytes, 0,
         lambda: np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)),
        ("faces: the network alone", FACE_OPERATIONS, blob.nbytes + FACE_WEIGHTS, float32,
         lambda: bare["emotion_faces"].run(["cells"], {"pixels": blob})),
        ("faces: all of it", FACE_OPERATIONS, blob.nbytes + FACE_WEIGHTS, float32,
         lambda: faces.detect(image, 0.5, 24)),
        ("faces: around the one that was there", None, None, 0, lambda: faces.detect(image, 0.5, 24, [face.box])),
        ("crop, upright", 0, 2 * crop.nbytes, 0,
         lambda: region_crop(image, "face", face, (), metadata.margin, metadata.shift)),
        ("crop to the classifier's input", 0, crop.nbytes + pixels.nbytes, 0,
         lambda: to_input([crop], metadata.size, metadata.color, metadata.mean, metadata.std)),
        ("classifier alone, float32", RESNET18_OPERATIONS, 2 * RESNET18_WEIGHT_BYTES, float32,
         lambda: bare["emotion_resnet18"].run(["output_0"], {"input_0": pixels})),
        ("classifier alone, int8", RESNET18_OPERATIONS, RESNET18_WEIGHT_BYTES / 2, int8,
         lambda: bare["emotion_resnet18_int8"].run(["output_0"], {"input_0": pixels})),
        ("hands (MediaPipe), none in view", None, None, 0, lambda: hands.detect(image)),
        ("who is who (norfair)", None, None, 0, lambda: tracker.update([face.box], next(ticks) / 30)),
        ("quality of a face", 0, crop.nbytes, 0, lambda: quality(image, face)),
        ("EmotionArray", None, None, 0, lambda: to_emotion_array(perception, Header())),
        ("drawing, only while somebody looks", 0, 2 * image.nbytes, 0, lambda: draw(image, perception)),
        ("JPEG, only while somebody looks", None, None, 0, lambda: to_jpeg(image, Header())),
    ]  # fmt: skip
    stages = {}
    for name, operations, moved, rate, call in rows:
        floor = None if operations is None else max(operations / (rate or 1) / 1e6, moved / memory / 1e6)
        stages[name] = {"operations": operations, "bytes": moved, "floor ms": floor, "ms": median_ms(call)}
    for each in (pipeline, quick, hands):
        each.close()
    return {"peaks": {"float32": float32, "int8": int8, "memory": memory}, "stages": stages}


def table(figures):
    """One line each."""
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
