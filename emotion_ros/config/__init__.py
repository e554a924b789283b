"""Every setting of the package, one frozen dataclass per subject.

Defaults, ranges and descriptions stand here only. ROS parameters, command-line options and ``config/detect.yaml`` are
generated from the :class:`~emotion_ros.config.options.Option` of each field.
"""

from emotion_ros.config.node_config import (
    NODES,
    CaptureConfig,
    DetectorConfig,
    RecorderConfig,
    SourceConfig,
    WebConfig,
    parameters_yaml,
)
from emotion_ros.config.pipeline_config import PipelineConfig
from emotion_ros.config.serving_config import ServeConfig
from emotion_ros.config.training_config import (
    DetectorTrainConfig,
    EyeTrainConfig,
    FaceTrainConfig,
    HandTrainConfig,
    LoopConfig,
    TrainConfig,
)

__all__ = [
    "NODES",
    "CaptureConfig",
    "DetectorConfig",
    "DetectorTrainConfig",
    "EyeTrainConfig",
    "FaceTrainConfig",
    "HandTrainConfig",
    "LoopConfig",
    "PipelineConfig",
    "RecorderConfig",
    "ServeConfig",
    "SourceConfig",
    "TrainConfig",
    "WebConfig",
    "parameters_yaml",
]
