"""An evaluation as something to read: Markdown, JSON and pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from emotion_ros.errors import OutputError


def write_report(figures: Mapping[str, Any], folder: Path) -> None:
    """Write ``report.md``, ``report.json``, ``confusion.png`` and ``reliability.png`` of what
    :func:`emotion_ros.training.evaluation.classifier_evaluation.evaluate` returned.

    Raises:
        OutputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(json.dumps(figures, indent=2) + "\n")
        (folder / "report.md").write_text(markdown(figures))
        for prefix, each in (("", figures), ("votes_", figures.get("votes"))):
            if each:
                save_confusion(each, folder / f"{prefix}confusion.png")
                save_reliability(each, folder / f"{prefix}reliability.png")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror}") from error


def markdown(figures: Mapping[str, Any], pictures: bool = True) -> str:
    """The figures as a page, which shows the ``pictures`` beside it."""
    latency = figures["latency_ms"]
    lines = [
        f"# {figures['model']} on {figures['split']}",
        "",
        f"{figures['size'] / 1e6:.2f} MB. One takes {latency['p50']:.1f} ms, 95 % of them {latency['p95']:.1f} ms.",
        "",
        *_section("By the class of the folder", figures, ""),
    ]
    if "votes" in figures:
        lines += _section("By the majority of annotators", figures["votes"], "votes_")
    for kind, found in figures.get("groups", {}).items():
        lines += _groups(kind, found)
    return "\n".join(line for line in lines if pictures or not line.startswith("!["))


def comparison(rows: Sequence[Mapping[str, Any]]) -> str:
    """Evaluations of several models on the same pictures as one table."""
    lines = [
        "| model | accuracy | 95 % interval | by votes | MB | ms a picture |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for each in rows:
        low, high = each["interval"]
        votes = f"{each['votes']['accuracy']:.3f}" if "votes" in each else ""
        lines.append(
            f"| {each['model']} | {each['accuracy']:.3f} | {low:.3f} to {high:.3f} | {votes} "
            f"| {each['size'] / 1e6:.2f} | {each['latency_ms']['p50']:.2f} |"
        )
    return "\n".join(lines)


def _section(title: str, figures: Mapping[str, Any], prefix: str) -> list[str]:
    low, high = figures["interval"]
    rows = [
        f"| {label} | {each['precision']:.3f} | {each['recall']:.3f} | {each['f1']:.3f} | {each['pictures']} |"
        for label, each in figures["classes"].items()
    ]
    return [
        f"## {title}",
        "",
        f"Accuracy **{figures['accuracy']:.3f}** (95 % interval {low:.3f} to {high:.3f}) on {figures['pictures']} "
        f"pictures; expected calibration error {figures['ece']:.3f}.",
        "",
        "| class | precision | recall | F1 | pictures |",
        "| --- | --- | --- | --- | --- |",
        *rows,
        "",
        f"![Confusion matrix]({prefix}confusion.png) ![Confidence against accuracy]({prefix}reliability.png)",
        "",
    ]


def _groups(kind: str, found: Mapping[str, Any]) -> list[str]:
    gap = found["gap"]
    said = (
        "Too few groups with enough pictures to compare."
        if gap is None
        else f"Largest gap: {gap:.3f}, {found['best']} before {found['worst']}."
    )
    rows = [
        f"| {name} | {each['accuracy']:.3f} | {low:.3f} to {high:.3f} | {each['pictures']} |"
        for name, each in found["groups"].items()
        for low, high in [each["interval"]]
    ]
    head = [f"| {kind} | accuracy | 95 % interval | pictures |", "| --- | --- | --- | --- |"]
    return [f"## By {kind}", "", said, "", *head, *rows, ""]


def save_confusion(figures: Mapping[str, Any], path: Path) -> None:
    """Share of each true class that was taken for each class, as a picture."""
    mpl.use("Agg")
    from matplotlib import pyplot

    counts, labels = np.array(figures["confusion"]), figures["labels"]
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 2 + 0.6 * len(labels)
    figure, axes = pyplot.subplots(figsize=(side, side), layout="constrained")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="predicted", ylabel="true", title=f"{figures['accuracy']:.1%} of {figures['pictures']} right")
    for (row, column), share in np.ndenumerate(shares):
        axes.text(column, row, f"{share:.0%}", ha="center", va="center", color="white" if share > 0.5 else "black")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def save_reliability(figures: Mapping[str, Any], path: Path) -> None:
    """How often the model is right where it is how sure; the diagonal is perfect."""
    mpl.use("Agg")
    from matplotlib import pyplot

    confidence, accuracy, share = np.array(figures["reliability"]).T
    figure, axes = pyplot.subplots(figsize=(5, 5), layout="constrained")
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="perfect")
    axes.plot(confidence, accuracy, marker="o", label="model")
    axes.bar(confidence, share, width=0.04, alpha=0.3, label="share of pictures")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy", title=f"ECE {figures['ece']:.3f}")
    axes.legend()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
