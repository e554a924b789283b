"""The SROS2 policy allows the topics and services that the nodes open, and no others."""

import fnmatch
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from emotion_ros.msg import EmotionArray
from graph_of_node import graph_of_node

POLICY = Path(__file__).resolve().parents[2] / "config" / "security.policy.xml"
OPTIONAL = {"/clock", "/parameter_events", "/image_raw/compressed", "/humans/bodies/*", "/markers"}
"""Allowed; opened only with use_sim_time, compressed images, hands, visualization_msgs or other versions of rclpy."""


def allowed(node):
    """Return rule (for example ``topics publish``) to the full names that the policy allows a node."""
    rules = {}
    for profile in ElementTree.parse(POLICY).iter("profile"):
        if profile.get("node") == node:
            for group in profile:
                for rule in group.attrib:
                    names = [each.text for each in group]
                    rules.setdefault(f"{group.tag} {rule}", []).extend(_full(name, node) for name in names)
    return rules


def _full(name, node):
    return name if name.startswith("/") else f"/{node}{name[1:]}" if name.startswith("~") else f"/{name}"


@pytest.mark.parametrize("name", ["detector", "image_source"])
def test_policy_allows_what_a_node_opens_and_no_more(listener, start, name):
    start("detector", hands=False)
    start("image_source", source="sample", loop=True, rate=10.0)
    heard = listener.hear(EmotionArray, "emotions")
    assert listener.until(lambda: heard and heard[-1].emotions)
    for _ in range(3):  # the graph becomes known little by little
        if not (differences := _differences(name)):
            break
    assert not differences


def _differences(name):
    """Return what a node opened and may not, and what it may and did not open."""
    rules, graph, differences = allowed(name), graph_of_node(name), []
    if not graph:
        return [f"{name} is not in the graph"]
    for rule, names in graph.items():
        unlisted = {each for each in names if not any(fnmatch.fnmatch(each, pattern) for pattern in rules[rule])}
        needless = {each for each in rules[rule] if not fnmatch.filter(names, each)} - OPTIONAL
        differences += [f"{rule} lacks {each}" for each in unlisted]
        differences += [f"{rule} needs no {each}" for each in needless if "type_description" not in each]
    return differences
