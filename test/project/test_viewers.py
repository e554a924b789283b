"""Views that are shipped for rviz2 and Foxglove: whole, and of topics and fields that the detector publishes."""

import json
import re
from pathlib import Path

import pytest
import yaml
from emotion_ros.msg import Emotion
from graph_of_node import graph_of_node

CONFIG = Path(__file__).resolve().parents[2] / "config"


def _object(**properties):
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _vector(length):
    return {"type": "array", "items": NUMBER, "minItems": length, "maxItems": length}


TEXT, NUMBER, BOOLEAN, NOTHING = {"type": "string"}, {"type": "number"}, {"type": "boolean"}, _object()
PANELS = {
    "3D": _object(
        cameraState=_object(
            perspective=BOOLEAN, target=_vector(3), targetOffset=_vector(3), targetOrientation=_vector(4),
            **dict.fromkeys(("distance", "phi", "thetaOffset", "fovy", "near", "far"), NUMBER),
        ),
        followMode={"enum": ["follow-pose", "follow-position", "follow-none"]},
        followTf=TEXT,
        scene=_object(transforms=_object(axisScale=NUMBER, labelSize=NUMBER, lineWidth=NUMBER, showLabel=BOOLEAN)),
        transforms=NOTHING,
        topics={"type": "object", "additionalProperties": _object(visible=BOOLEAN)},
        layers=NOTHING,
    ),
    "DiagnosticSummary": _object(
        topicToRender=TEXT, minLevel={"enum": [0, 1, 2, 3]}, hardwareIdFilter=TEXT, sortByLevel=BOOLEAN,
        pinnedIds={"type": "array", "items": TEXT},
    ),
    "Image": _object(imageMode=_object(imageTopic=TEXT, calibrationTopic=TEXT)),
    "Plot": _object(
        title=TEXT,
        paths={
            "type": "array",
            "items": _object(
                value=TEXT, enabled=BOOLEAN, label=TEXT, color=TEXT, showLine=BOOLEAN,
                timestampMethod={"enum": ["receiveTime", "headerStamp"]},
            ),
        },
        xAxisVal={"enum": ["timestamp", "index", "custom", "currentCustom"]},
        legendDisplay={"enum": ["floating", "top", "left"]},
        **dict.fromkeys(("followingViewWidth", "minYValue", "maxYValue"), NUMBER),
        **dict.fromkeys(("showLegend", "isSynced", "showXAxisLabels", "showYAxisLabels"), BOOLEAN),
    ),
    "RawMessages": _object(topicPath=TEXT, diffEnabled=BOOLEAN),
}  # fmt: skip
"""JSON schema of the settings of each panel, by panel type. Foxglove publishes none for files of this form. The names,
types and values are those of the TypeScript types of Foxglove Studio, its last open version, and of the Python types of
Foxglove's newer layouts (foxglove.layouts of foxglove-sdk 0.30), which lack only axisScale and title. Settings
that the layout does not use are left out, except a few."""


@pytest.fixture(scope="module")
def layout():
    return json.loads((CONFIG / "foxglove.json").read_text())


def panels(tree):
    if isinstance(tree, str):
        return [tree]
    assert tree["direction"] in ("row", "column")
    assert 0 < tree["splitPercentage"] < 100
    return panels(tree["first"]) + panels(tree["second"])


def texts(value):
    if isinstance(value, dict):
        return [text for key, each in value.items() for text in (key, *texts(each))]
    return [text for each in value for text in texts(each)] if isinstance(value, list) else [str(value)]


def topics_of_rviz():
    view = yaml.safe_load((CONFIG / "emotions.rviz").read_text())
    return {display["Topic"]["Value"] for display in view["Visualization Manager"]["Displays"] if "Topic" in display}


def test_every_panel_of_the_foxglove_layout_is_placed_and_configured_once(layout):
    placed = panels(layout["layout"])
    assert sorted(placed) == sorted(layout["configById"])
    assert {name.partition("!")[0] for name in placed} == set(PANELS)
    assert layout["playbackConfig"]["speed"] == 1
    assert layout["globalVariables"] == layout["userNodes"] == {}


def test_settings_of_the_foxglove_layout_are_valid_for_their_panels(layout):
    validate = pytest.importorskip("jsonschema").validate
    for name, settings in layout["configById"].items():
        validate(settings, PANELS[name.partition("!")[0]])


def test_paths_of_the_foxglove_layout_are_fields_of_the_messages(layout):
    paths = [text for text in texts(layout) if re.match(r"/emotions\.", text)]
    assert len(paths) > 2
    for path in paths:
        _, field = re.fullmatch(r"/emotions\.(emotions\[[0:]\])\.?(\w*)", path).groups()
        assert not field or field in Emotion.get_fields_and_field_types()


def test_viewers_show_topics_of_the_detector(layout, start):
    pytest.importorskip("visualization_msgs", reason="visualization_msgs is not installed")
    start("detector", hands=False)
    published = set(graph_of_node("detector", "/emotions").get("topics publish", ()))
    shown = {text.partition(".")[0] for text in texts(layout) if text.startswith("/")}
    assert shown == {"/annotated/compressed", "/diagnostics", "/emotions", "/markers"}
    assert shown | {f"/{topic}" for topic in topics_of_rviz()} <= published
