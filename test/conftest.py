import gc
import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import rclpy

from emotion_ros.inference.catalog import default_model
from emotion_ros.io.sources import frames
from emotion_ros.nodes.graph import Process, environment
from emotion_ros.perception.emotion.classifier import EmotionClassifier

sys.path.insert(0, str(Path(__file__).parent))  # modules shared by tests

SHARED = Path(__file__).resolve().parents[2] / "shared"

# Optional on a robot: message packages that its ROS lacks, and libraries that pip installs.
NEEDED = {
    "nodes/test_humans.py": "hri_msgs",
    "nodes/test_markers.py": "visualization_msgs",
    "nodes/test_rep155.py": "hri_msgs",
    "inference/test_models.py": "onnx",
    "io/test_bags.py": "rosbags",
}
MISSING = {file: module for file, module in NEEDED.items() if importlib.util.find_spec(module) is None}
collect_ignore = [*MISSING]

# A process that a shell starts in the background ignores SIGINT, and so do its children. Tests interrupt theirs.
signal.signal(signal.SIGINT, signal.default_int_handler)

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "gw0")

# Nodes of tests that run at the same time must not discover each other.
os.environ["ROS_DOMAIN_ID"] = str(20 + os.getpid() % 35 + (0 if WORKER == "gw0" else 35))
os.environ.update(environment())


def group_of(nodeid):
    """Return the name of the group whose tests run one after the other in one process.

    Tests with nodes measure times: they are one group. The other groups are files, for their fixtures.
    """
    file = nodeid.split("::")[0]
    return "nodes" if file.startswith(("test/nodes/", "test/project/", "test/serving/test_web")) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return group_of(nodeid)

    return Groups(config, log)


def pytest_report_header():
    return [f"skipped: test/{file}: {module} is not installed" for file, module in MISSING.items()]


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: (group_of(item.nodeid) != "nodes", "training" not in item.path.parts))  # longest first


def pytest_runtest_setup(item):
    if "PYTEST_XDIST_WORKER" in os.environ and group_of(item.nodeid) != "nodes" and os.nice(0) == 0:
        os.nice(10)  # trainings give way to the tests of nodes in the other process


@pytest.fixture(scope="session")
def portrait():
    """Portrait of a smiling person, BGR, uint8, 480 × 640 × 3."""
    return next(frames("sample")).image


@pytest.fixture(scope="session")
def classifier():
    return EmotionClassifier(default_model(), "cpu")


@pytest.fixture(scope="session")
def shared():
    """Function that returns the path of a file in shared/, or skips the test if it does not exist."""

    def find(name):
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"{path} does not exist")
        return path

    return find


@pytest.fixture(scope="session")
def mediapipe():
    """Skips the test if the optional mediapipe is not installed."""
    if importlib.util.find_spec("mediapipe") is None:
        pytest.skip("mediapipe is not installed")


@pytest.fixture(scope="session")
def command_line():
    """Function that runs emotion-ros in a process and returns the completed process."""

    def run(*arguments, timeout=120):
        code = "import sys; from emotion_ros.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)

    return run


class Listener:
    """Node in the process of the test."""

    def __init__(self, node):
        self.node = node

    def hear(self, kind, topic, depth=50):
        """Subscribe to a topic and return the list to which its messages are appended."""
        messages = []
        self.node.create_subscription(kind, topic, messages.append, depth)
        return messages

    def settle(self):
        """Wait until both sides have discovered a new connection. Messages and responses sent earlier may be lost."""
        time.sleep(0.5)

    def until(self, condition, seconds=60):
        """Spin until a condition is true or ``seconds`` have passed, and return the condition's last result."""
        deadline = time.monotonic() + seconds
        while not (result := condition()) and time.monotonic() < deadline:
            rclpy.spin_once(self.node, timeout_sec=0.05)
        return result

    def call(self, kind, name, request, seconds=8):
        """Call a service and return the response.

        A request that is sent before both sides have discovered each other is lost: it is sent again after ``seconds``.
        The first response counts, also if it is late: a repeated transition would be refused.
        """
        client = self.node.create_client(kind, name)
        assert client.wait_for_service(60), f"no service {name}"
        self.settle()
        futures = []
        for _ in range(4):
            futures.append(client.call_async(request))
            if self.until(lambda: any(each.done() for each in futures), seconds):
                return next(each.result() for each in futures if each.done())
        raise AssertionError(f"no response from {name}")


@pytest.fixture
def listener():
    rclpy.init()
    node = rclpy.create_node("listener")
    yield Listener(node)
    node.destroy_node()
    rclpy.try_shutdown()
    gc.collect()  # nodes in reference cycles would keep their DDS participants in the graph


@pytest.fixture
def start(spawn):
    """Function that starts a node of this package in a process."""
    return lambda executable, **parameters: spawn(*Process(executable, parameters).command())


@pytest.fixture
def spawn():
    """Function that starts a command in a process; all processes are stopped after the test."""
    processes = []

    def run(*command):
        command = [str(argument) for argument in command]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield run
    for process in processes:  # not killed, which would leave shared memory behind
        process.terminate()
    for process in processes:
        try:
            output, errors = process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
        print(f"{process.args[0]} ended with {process.returncode}\n{output}\n{errors}")  # shown if the test fails


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Data set of two separable classes, dark and bright, in the splits train, val and test."""
    folder, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for split, count in (("train", 24), ("val", 8), ("test", 8)):
        for label, low in (("bright", 160), ("dark", 0)):
            (folder / split / label).mkdir(parents=True)
            for number in range(count):
                image = random.integers(low, low + 90, (48, 48, 3), np.uint8)
                cv2.imwrite(str(folder / split / label / f"{number}.png"), image)
    return folder


@pytest.fixture(scope="session")
def small():
    """Settings of a training of some seconds."""
    from emotion_ros.config import TrainConfig

    return TrainConfig(
        arch="cnn8",
        epochs=4,
        batch_size=8,
        precision="32-true",
        lr=0.02,
        size=32,
        color="grey",
        pretrained="none",
        ema=0.5,
    )


@pytest.fixture(scope="session")
def trained(data, small, tmp_path_factory):
    """Folder of a finished training."""
    from emotion_ros.training.classifier.classifier_training import train

    folder = tmp_path_factory.mktemp("model")
    train([data], folder, small)
    return folder


@pytest.fixture
def replace_clock(monkeypatch):
    """Function that gives a module a clock that the test moves, ``clock.now``, and returns the clock."""

    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    def replace(module):
        made = Clock()
        monkeypatch.setattr(module, "time", made)
        return made

    return replace
