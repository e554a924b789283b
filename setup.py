"""Installs the parts that need no ROS: command line, perception, training. Robots use colcon."""

from glob import glob

from setuptools import find_packages, setup

setup(
    name="emotion_ros",
    version="0.1.0",
    description="Detects people in camera images and classifies their facial expressions, for ROS 2 robots",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["emotion_ros", "emotion_ros.*"]),
    package_data={"emotion_ros.serving": ["page/*"]},
    data_files=[
        ("share/emotion_ros/models", glob("models/*")),
        ("share/emotion_ros/config", glob("config/*")),
        ("share/emotion_ros/msg", glob("msg/*")),
    ],
    install_requires=[
        "numpy>=1.26",
        "onnxruntime",
        "opencv-python",
        "pyyaml",
        "rosbags==0.11.9",
        "scikit-image",
        "tqdm",
    ],
    extras_require={
        # It has wheels for Python 3.10 to 3.12 only, on arm64 up to 0.10.18.
        "mediapipe": [
            "mediapipe==0.10.21; platform_machine != 'aarch64'",
            "mediapipe==0.10.18; platform_machine == 'aarch64'",
            "numpy<2",
        ],
        "serve": ["fastapi", "prometheus-client", "python-multipart", "uvicorn", "websockets"],
        "ray": ["pyarrow<22", "ray[data,serve]>=2.40"],
        "train": ["imagehash", "lightning>=2.6", "matplotlib", "onnx", "tensorboard", "torch", "transformers"],
        "tinyml": [
            "ai-edge-litert",
            "ai-edge-quantizer",
            "jax<0.7",
            "jaxlib<0.7",
            "litert-torch",
            "tflite-micro>=0.dev0",
        ],
    },
    entry_points={"console_scripts": ["emotion-ros=emotion_ros.cli:main"]},
)
