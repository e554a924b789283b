"""``emotion-ros models``: lists, shows, fetches and verifies models."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from emotion_ros.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("action", choices=("list", "show", "fetch", "verify"))
    parser.add_argument("name", nargs="?", help="name in the catalog; for show also a file")
    parser.add_argument("--labels", type=Path, help="labels.txt of a model without metadata (show)")


def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from emotion_ros.inference import catalog

    entries = catalog.catalog()
    if parsed.action == "list":
        for entry in entries.values():
            here = f"here: {entry.path()}" if entry.path().is_file() else f"not downloaded: {entry.url}"
            print(f"{entry.name} ({entry.licence})\n  {here}\n  sha256 {entry.sha256}")
        return 0
    if parsed.action == "show":
        from emotion_ros.perception.detection.emotion_faces import read_detector_metadata
        from emotion_ros.perception.emotion.classifier import EmotionClassifier

        path = catalog.find_model(parsed.name) if parsed.name else catalog.default_model()
        if about := read_detector_metadata(path):
            print(json.dumps({"name": path.stem, **about}, indent=2))
            return 0
        classifier = EmotionClassifier(path, "cpu", labels=parsed.labels)
        print(json.dumps({"name": classifier.name, **dataclasses.asdict(classifier.contract)}, indent=2))
        return 0
    if parsed.name and parsed.name not in entries:
        raise ConfigError(f"models {parsed.action}: expected one of {', '.join(entries)}, got {parsed.name}")
    if parsed.action == "fetch":
        if not parsed.name:
            raise ConfigError(f"models fetch: expected a name, one of {', '.join(entries)}")
        print(catalog.fetch(entries[parsed.name], catalog.download_folder()))
        return 0
    problems = [catalog.verify(entry) for entry in ([entries[parsed.name]] if parsed.name else entries.values())]
    print("\n".join(said for _, said in problems))
    return int(not all(fine for fine, _ in problems))
