"""Settings of the perception pipeline."""

from __future__ import annotations

from dataclasses import dataclass

from emotion_ros.config.options import option


@dataclass(frozen=True)
class PipelineConfig:
    """How an image is looked at."""

    face_detector: str = option(
        "emotion_faces", "face detector", choices=("emotion_faces", "mediapipe", "mediapipe_full", "yunet")
    )
    face_model: str = option(
        "", "model file of emotion_faces or yunet, or its name in the catalog; empty: the one of this package"
    )
    face_input_size: int = option(
        640, "side of an image, in pixels, above which emotion_faces shrinks it first", minimum=32, maximum=8192
    )
    min_face_confidence: float = option(0.5, "faces below this are not reported", minimum=0.0, maximum=1.0, live=True)
    face_search_interval: float = option(
        0.2,
        "seconds between two looks for new faces; in images between, emotion_faces on a CPU looks only around those it "
        "knows; 0: it looks at all of every image",
        minimum=0.0,
        maximum=10.0,
        live=True,
    )
    min_face_size: int = option(
        24, "faces with a shorter side, in pixels, are not reported", minimum=1, maximum=4096, live=True
    )
    hands: bool = option(True, "look for hands")
    hands_require_face: bool = option(
        True, "look for hands only where a face is, or was within track_timeout; false: in every image", live=True
    )
    hand_search_interval: float = option(
        0.1,
        "seconds without a look for hands after one that found none; 0: they are looked for in every image",
        minimum=0.0,
        maximum=10.0,
        live=True,
    )
    hand_confidence: float = option(0.3, "hands below this are not reported", minimum=0.0, maximum=1.0)
    max_hands: int = option(4, "most hands that are looked for in an image", minimum=1, maximum=32)
    model: str = option(
        "",
        "classifier: an ONNX or TFLite file, or its name in the catalog; empty: emotion_resnet18, or on a CPU with "
        "VNNI emotion_resnet18_int8",
    )
    labels: str = option("", "labels.txt of a model without a contract; empty: the one beside the model")
    provider: str = option("auto", "what runs the classifier", choices=("auto", "tensorrt", "cuda", "cpu"))
    threads: int = option(
        1, "threads of the classifier on a CPU; hands run beside it; 0: one per core", minimum=0, maximum=256
    )
    max_classifications_per_image: int = option(
        2,
        "most faces that are classified in an image, whoever waited longest first; the others keep what they showed, "
        "and new ones never wait; 0: all",
        minimum=0,
        maximum=1000,
        live=True,
    )
    classification_interval: float = option(
        0.05, "seconds until a face is classified again; 0: in every image", minimum=0.0, maximum=10.0, live=True
    )
    min_confidence: float = option(
        0.3, "people whose best emotion is below this are unknown", minimum=0.0, maximum=1.0, live=True
    )
    label_map: str = option(
        "", "merges and renames classes, in YAML: {happiness: [happy], sadness: [sad, fear]}; others keep their names"
    )
    smoothing: float = option(
        0.25, "seconds over which probabilities are averaged; 0: each image alone", minimum=0.0, maximum=10.0, live=True
    )
    label_hysteresis: float = option(
        0.1, "by how much another emotion must lead before the label changes", minimum=0.0, maximum=1.0, live=True
    )
    track_timeout: float = option(
        1.0, "seconds after which a face that was away is somebody new", minimum=0.0, maximum=60.0, live=True
    )
    deterministic_ids: bool = option(False, "people are f00000, f00001, …; else five random letters")
    gestures: str = option("", "YAML file with gestures; empty: gestures.yaml of this package")
    gesture_weight: float = option(
        0.0,
        "how far gestures speak for emotions, as the logarithm of the odds; 0: the face alone",
        minimum=0.0,
        maximum=5.0,
        live=True,
    )
    gesture_emotions: str = option(
        "{thumb_up: happy, waving: happy, thumb_down: angry, fist: angry}",
        "which emotion a gesture speaks for, in YAML; a table of your own may name only what there is",
    )
