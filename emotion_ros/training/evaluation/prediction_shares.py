"""Predictions for groups of people, such as age: how often each label is predicted, without knowing the right one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emotion_ros.config import PipelineConfig
from emotion_ros.errors import DatasetError
from emotion_ros.perception.emotion.classifier import EmotionClassifier
from emotion_ros.training.data.region_crop import RegionCrop
from emotion_ros.training.evaluation.classification_metrics import wilson
from emotion_ros.training.evaluation.classifier_evaluation import view_of
from emotion_ros.training.evaluation.evaluation_report import markdown_table
from emotion_ros.training.evaluation.group_accuracy import MIN_GROUP_PICTURES
from emotion_ros.training.photo_archive import photos_archive, read_archive, read_groups

UNKNOWN = "unknown"
"""Label of a face whose most probable class is below ``min_confidence``, as the node publishes it."""


def has_groups(data: Path) -> bool:
    """Return True if a folder has photos of people in groups, and no classes."""
    return (data / "groups.csv").is_file() and (data / "photos.zip").is_file()


def prediction_shares(model: Path, data: Path, prior: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Return how often each label is predicted for the people of each group.

    Args:
        model: ONNX or TFLite file.
        data: folder with ``photos.zip`` (one person in each) and ``groups.csv``, see
            :func:`emotion_ros.training.photo_archive.read_groups`.
        prior: replaces that of the model's metadata.

    Returns:
        ``model``; ``groups``: kind of group to group to ``pictures``, ``found`` (share of the pictures in which the
        default detector finds a face) and ``shares`` (label to its share of the found faces and the 95 % interval);
        ``gaps``: kind to label to the largest difference of the shares of two groups of at least 20 faces.

    Raises:
        DatasetError: the data cannot be used, or no picture is in a group.
        ModelError: the model cannot be used.
    """
    classifier = EmotionClassifier(model, "cpu", prior=prior)
    groups = read_groups(data)
    members: dict[tuple[str, str], list[str]] = defaultdict(list)
    with RegionCrop(view_of(classifier.metadata, "yes")) as crop:
        for name, image in read_archive(photos_archive(data)):
            region = crop(image) if name in groups else None
            label = _label(classifier, region) if region is not None else ""
            for kind, group in groups.get(name, {}).items():
                members[kind, group].append(label)
    if not members:
        raise DatasetError(f"{data}: expected pictures of photos.zip in groups.csv, none is")
    labels = (*classifier.metadata.labels, UNKNOWN)
    result: dict[str, dict[str, Any]] = defaultdict(dict)
    for (kind, group), predicted in sorted(members.items()):
        result[kind][group] = _group(predicted, labels)
    gaps = {kind: {label: _gap(kinds.values(), label) for label in labels} for kind, kinds in result.items()}
    return {"model": classifier.name, "groups": dict(result), "gaps": gaps}


def table(figures: Mapping[str, Any]) -> str:
    """Format the result of :func:`prediction_shares` as a Markdown table."""
    kinds = figures["groups"]
    labels = list(next(iter(figures["gaps"].values())))
    rows: list[list[str]] = []
    for kind, groups in kinds.items():
        for group, values in groups.items():
            cells = [f"{share:.2f} ({low:.2f} to {high:.2f})" for share, low, high in values["shares"].values()]
            rows.append([f"{kind}: {group}", str(values["pictures"]), f"{values['found']:.3f}", *cells])
        rows.append([f"**{kind}: largest gap**", "", "", *(f"**{gap:.2f}**" for gap in figures["gaps"][kind].values())])
    return markdown_table([figures["model"], "pictures", "faces found", *labels], rows)


def _label(classifier: EmotionClassifier, region: Any) -> str:
    (row,) = classifier.classify([region])
    return classifier.metadata.labels[int(row.argmax())] if row.max() >= PipelineConfig.min_confidence else UNKNOWN


def _group(predicted: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    counts = Counter(predicted)
    found = len(predicted) - counts[""]
    return {
        "pictures": len(predicted),
        "found": round(found / len(predicted), 4),
        "shares": {label: (round(counts[label] / found, 4), *wilson(counts[label], found)) for label in labels}
        if found
        else {},
    }


def _gap(groups: Any, label: str) -> float:
    large = [each for each in groups if each["found"] * each["pictures"] >= MIN_GROUP_PICTURES]
    shares = [each["shares"][label][0] for each in large]
    return round(max(shares) - min(shares), 4) if shares else 0.0
