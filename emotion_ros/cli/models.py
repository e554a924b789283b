"""``emotion-ros models``: lists, shows, downloads and verifies models."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from emotion_ros.errors import ConfigError

if TYPE_CHECKING:
    from emotion_ros.inference.catalog import Entry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "action",
        choices=ACTIONS,
        metavar="ACTION",
        help="list: all models of the catalog; show: the metadata of one; fetch: download one; verify: compare files "
        "with the catalog's hashes",
    )
    parser.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help="model of the catalog, or for show also a file; without it show takes the default classifier, and verify "
        "all models",
    )
    parser.add_argument("--labels", type=Path, metavar="FILE", help="labels.txt of a model without metadata, for show")


def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from emotion_ros.inference.catalog import catalog

    return ACTIONS[parsed.action](parsed, catalog())


def _list(_: argparse.Namespace, entries: Mapping[str, Entry]) -> int:
    for entry in entries.values():
        path = entry.path()
        place = f"here: {path}" if path.is_file() else f"not downloaded: {entry.url}"
        print(f"{entry.name} ({entry.licence})\n  {place}\n  sha256 {entry.sha256}")
    return 0


def _show(parsed: argparse.Namespace, _: Mapping[str, Entry]) -> int:
    from emotion_ros.inference.catalog import default_model, find_model
    from emotion_ros.perception import eyes, face_points
    from emotion_ros.perception.detection import emotion_faces, hand_networks
    from emotion_ros.perception.detection.network_input import read_metadata_of_kind
    from emotion_ros.perception.emotion.classifier import EmotionClassifier

    path = find_model(parsed.name) if parsed.name else default_model()
    hands = hand_networks.DETECTOR_KIND, hand_networks.LANDMARK_KIND
    kinds = emotion_faces.DETECTOR_KIND, *hands, face_points.NETWORK_KIND, eyes.NETWORK_KIND
    metadata = read_metadata_of_kind(path, *kinds)
    if metadata:
        print(json.dumps({"name": path.stem, **metadata}, indent=2))
        return 0
    classifier = EmotionClassifier(path, "cpu", labels=parsed.labels)
    print(json.dumps({"name": classifier.name, **dataclasses.asdict(classifier.metadata)}, indent=2))
    return 0


def _fetch(parsed: argparse.Namespace, entries: Mapping[str, Entry]) -> int:
    from emotion_ros.inference.catalog import fetch, writable_folder

    if not parsed.name:
        raise ConfigError(f"models fetch: expected a name, one of {', '.join(entries)}")
    print(fetch(_entry(parsed, entries), writable_folder()))
    return 0


def _verify(parsed: argparse.Namespace, entries: Mapping[str, Entry]) -> int:
    from emotion_ros.inference.catalog import verify

    results = [verify(entry) for entry in ([_entry(parsed, entries)] if parsed.name else entries.values())]
    print("\n".join(message for _, message in results))
    return int(not all(valid for valid, _ in results))


def _entry(parsed: argparse.Namespace, entries: Mapping[str, Entry]) -> Entry:
    if parsed.name not in entries:
        raise ConfigError(f"models {parsed.action}: expected one of {', '.join(entries)}, got {parsed.name}")
    return entries[parsed.name]


ACTIONS = {"list": _list, "show": _show, "fetch": _fetch, "verify": _verify}
"""Name of an action to its function, which takes the arguments and the catalog and returns the exit code."""
