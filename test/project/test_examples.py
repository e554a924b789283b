"""The examples, run as their first lines say."""

import ast
import signal
import sys
from pathlib import Path

import cv2
import pytest
from emotion_ros.msg import Emotion
from std_msgs.msg import String

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def example(spawn):
    """A function that runs an example in a process of its own."""
    return lambda name, *arguments: spawn(sys.executable, EXAMPLES / name, *arguments)


def test_listener_prints_who_is_there(start, example):
    start("detector", hands=False)
    start("image_source", source="sample", loop=True, rate=10.0)
    listening = example("listener.py")
    assert "happy" in listening.stdout.readline()
    listening.send_signal(signal.SIGINT)
    listening.wait(timeout=10)


def test_listener_is_as_short_as_promised():
    code = (EXAMPLES / "listener.py").read_text()
    assert len([line for line in code.splitlines() if line.strip()]) <= 20


def test_companion_greets_a_happy_person_once(listener, start, example):
    start("detector", hands=False)
    said = listener.hear(String, "say")
    example("companion.py", "--ros-args", "-p", "lasting:=0.5")
    assert listener.until(lambda: listener.node.count_publishers("say"), 30)
    listener.settle()  # it greets once, also where nobody hears it yet
    start("image_source", source="sample", loop=True, rate=10.0)
    assert listener.until(lambda: said, 30)
    listener.until(lambda: False, 3)
    assert [each.data for each in said] == ["Hello! You look cheerful today."]


def test_companion_comforts_a_sad_person_and_cools_down(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from companion import WORDS, Companion, Person

    behaviour = object.__new__(Companion)
    behaviour.lasting, behaviour.cool_down = 1.0, 10.0
    person, said = Person(), {}
    for step in range(300):
        time = step / 10
        words = Companion.step(behaviour, person, "sad" if step % 50 else "neutral", time)
        if words:
            said[time] = words
    assert set(said.values()) == {WORDS["sad"]}
    assert list(said) == [1.1, 11.1, 21.1]


@pytest.mark.parametrize(
    ("attention", "confidence", "label"),
    [(0.9, 0.9, "happy"), (0.2, 0.9, ""), (0.9, 0.3, ""), (float("nan"), 0.9, "happy")],
)
def test_companion_reacts_to_people_who_look_at_it(monkeypatch, attention, confidence, label):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from companion import Companion

    behaviour = object.__new__(Companion)
    behaviour.min_attention, behaviour.min_confidence = 0.5, 0.6
    emotion = Emotion(label="happy", confidence=confidence, attention=attention)
    assert Companion.label_of(behaviour, emotion) == label


def test_session_is_plotted(command_line, example, tmp_path, portrait):
    writer = cv2.VideoWriter(str(tmp_path / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (640, 480))
    for _ in range(10):
        writer.write(portrait)
    writer.release()
    result = command_line("detect", tmp_path / "clip.mp4", "--json", "--no-hands")
    (tmp_path / "emotions.jsonl").write_text(result.stdout)
    process = example("plot_session.py", tmp_path / "emotions.jsonl", tmp_path / "session.png")
    assert process.wait(60) == 0, process.stderr.read()
    assert cv2.imread(str(tmp_path / "session.png")).std() > 10


def test_launch_example_names_topics_and_parameters_that_there_are():
    tree = ast.parse((EXAMPLES / "two_cameras.launch.py").read_text())
    from emotion_ros.config import DetectorConfig, PipelineConfig
    from emotion_ros.config.options import options

    known = {each.name for config in (DetectorConfig, PipelineConfig) for each in options(config)}
    (parameters,) = [
        word.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for word in node.keywords
        if word.arg == "parameters"
    ]
    assert {key.value for key in parameters.elts[0].keys} <= known
