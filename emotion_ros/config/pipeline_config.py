"""Settings of the perception pipeline."""

from __future__ import annotations

from dataclasses import dataclass

from emotion_ros.config.image_limit import image_pixels_option
from emotion_ros.config.options import option


@dataclass(frozen=True)
class PipelineConfig:
    """Settings of the perception pipeline, from the image to the published label."""

    model: str = option(
        "",
        "classifier: an ONNX or TFLite file, or a name of the catalog; empty: emotion_resnet18, or on a CPU with VNNI "
        "emotion_resnet18_int8",
        group="models",
        common=True,
    )
    labels: str = option(
        "", "labels.txt of a classifier without metadata; empty: the one beside the model", group="models"
    )
    label_map: str = option(
        "",
        "merges and renames classes, in YAML: {happiness: [happy], sadness: [sad, fear]}; others keep their name",
        group="models",
    )
    face_detector: str = option(
        "emotion_faces",
        "face detector",
        choices=("emotion_faces", "mediapipe", "mediapipe_full", "yunet"),
        group="models",
        common=True,
    )
    face_model: str = option(
        "",
        "model of emotion_faces or yunet: a file, or a name of the catalog; empty: the one of this package",
        group="models",
    )
    hand_detector: str = option(
        "emotion_hands",
        "hand detector; mediapipe needs the Python package of that name",
        choices=("emotion_hands", "mediapipe"),
        group="models",
        common=True,
    )
    hand_model: str = option(
        "", "ONNX file with which emotion_hands finds hands; empty: that of this package", group="hands"
    )
    hand_landmark_model: str = option(
        "", "ONNX file with which emotion_hands finds landmarks; empty: that of this package", group="hands"
    )
    provider: str = option(
        "auto",
        "ONNX Runtime execution provider; auto: the fastest available",
        choices=("auto", "tensorrt", "cuda", "cpu"),
        group="models",
        common=True,
    )
    threads: int = option(
        1,
        "CPU threads of each network; hands are searched in a further thread; 0: one per core",
        minimum=0,
        maximum=256,
        group="models",
    )

    min_face_confidence: float = option(
        0.5, "minimum confidence of a face", minimum=0.0, maximum=1.0, live=True, group="faces"
    )
    min_face_size: int = option(
        24,
        "minimum length of the shorter side of a face, pixels",
        minimum=1,
        maximum=4096,
        live=True,
        group="faces",
        common=True,
    )
    face_input_size: int = option(
        640,
        "longest side, pixels, to which emotion_faces scales larger images down",
        minimum=32,
        maximum=8192,
        group="faces",
    )
    face_search_interval: float = option(
        0.2,
        "seconds between two searches of the whole image for faces; in between, emotion_faces on a CPU searches around "
        "the known faces only; 0: search the whole image every time",
        minimum=0.0,
        maximum=10.0,
        live=True,
        temporal=True,
        group="faces",
    )

    head_pose: bool = option(
        True, "estimate the pose of each head, which also lowers the weight of turned faces", group="faces"
    )
    face_landmark_model: str = option(
        "", "ONNX file that finds the landmarks of a face and the pose; empty: that of this package", group="faces"
    )

    hands: bool = option(True, "detect hands and their gestures", group="hands", common=True)
    hands_require_face: bool = option(
        True, "search for hands only while a face is tracked; false: in every image", live=True, group="hands"
    )
    max_hands: int = option(4, "maximum number of hands per image", minimum=1, maximum=32, group="hands")
    gestures: str = option("", "YAML file with gesture rules; empty: gestures.yaml of this package", group="hands")
    gesture_weight: float = option(
        0.0,
        "weight of gestures in the emotion probabilities, as a logarithm of odds; 0: the face alone",
        minimum=0.0,
        maximum=5.0,
        live=True,
        group="hands",
    )
    gesture_emotions: str = option(
        "",
        "emotion that each gesture supports, in YAML: {thumb_up: happy}; empty: thumb_up and waving happy, thumb_down "
        "and fist angry; {}: none",
        group="hands",
    )

    prior: str = option(
        "",
        "relative frequencies of the classes in front of the robot, in YAML: {neutral: 3}, others have 1; empty: those "
        "of the model; {}: all alike",
        group="emotion",
    )
    min_confidence: float = option(
        0.3,
        "people whose most probable emotion is below this are labelled unknown",
        minimum=0.0,
        maximum=1.0,
        live=True,
        group="emotion",
        common=True,
    )
    smoothing: float = option(
        0.25,
        "time constant of the probability filter, seconds; 0: no filter",
        minimum=0.0,
        maximum=10.0,
        live=True,
        temporal=True,
        group="emotion",
    )
    personal_baseline: float = option(
        0.0,
        "seconds over which each person's usual expression is learned and subtracted, so that a neutral face that "
        "looks angry is not labelled angry; 60 suits most robots; 0: off",
        minimum=0.0,
        maximum=3600.0,
        live=True,
        temporal=True,
        group="emotion",
    )
    classification_interval: float = option(
        0.05,
        "minimum seconds between two classifications of a face; 0: classify in every image",
        minimum=0.0,
        maximum=10.0,
        live=True,
        temporal=True,
        group="emotion",
    )
    max_classifications_per_image: int = option(
        2,
        "maximum faces classified per image, least recently classified first; new faces are always classified; 0: "
        "unlimited",
        minimum=0,
        maximum=1000,
        live=True,
        temporal=True,
        group="emotion",
    )

    event_interval: float = option(
        1.0,
        "minimum seconds between two events of a person; a change that comes earlier is reported later if it lasts",
        minimum=0.0,
        maximum=60.0,
        live=True,
        temporal=True,
        group="emotion",
    )
    eyes: bool = option(
        True,
        "people who look down or close their eyes have low attention; false, or without head_pose: the head counts",
        group="attention",
    )
    eye_model: str = option("", "ONNX file that finds the eyelids; empty: that of this package", group="attention")
    attention_smoothing: float = option(
        1.0,
        "time constant of attention, seconds; 0: no filter",
        minimum=0.0,
        maximum=60.0,
        live=True,
        temporal=True,
        group="attention",
    )
    engagement_attention: float = option(
        0.5,
        "attention from which a person counts as looking at the robot",
        minimum=0.0,
        maximum=1.0,
        live=True,
        temporal=True,
        group="attention",
    )
    engagement_distance: float = option(
        3.6,
        "distance, metres, above which nobody is engaged; without camera_info it is unknown and not used",
        minimum=0.0,
        maximum=100.0,
        live=True,
        temporal=True,
        group="attention",
    )
    engagement_time: float = option(
        2.0,
        "seconds of looking at the robot until a person is engaged, and of looking away until disengaged",
        minimum=0.0,
        maximum=60.0,
        live=True,
        temporal=True,
        group="attention",
    )

    track_timeout: float = option(
        1.0,
        "seconds after which a face that is not visible loses its id",
        minimum=0.0,
        maximum=60.0,
        live=True,
        temporal=True,
        group="tracking",
    )
    deterministic_ids: bool = option(
        False, "number the ids f00000, f00001, …; false: five random letters", temporal=True, group="tracking"
    )

    max_image_pixels: int = image_pixels_option(live=True)
