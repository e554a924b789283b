"""Reports of an evaluation: Markdown, JSON and pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from emotion_ros.errors import OutputError
from emotion_ros.io.atomic_file import replacing


def write_report(figures: Mapping[str, Any], folder: Path) -> None:
    """Write ``report.md``, ``report.json``, ``confusion.png`` and ``reliability.png``.

    For data with votes also ``votes_confusion.png`` and ``votes_reliability.png``.

    Args:
        figures: what :func:`emotion_ros.training.evaluation.classifier_evaluation.evaluate` returned.
        folder: is created if it is missing.

    Raises:
        OutputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("report.json", json.dumps(figures, indent=2) + "\n"), ("report.md", markdown(figures))):
            with replacing(folder / name) as partial:
                partial.write_text(text)
        for prefix, metrics in (("", figures), ("votes_", figures.get("votes"))):
            if metrics:
                save_confusion(metrics, folder / f"{prefix}confusion.png")
                save_reliability(metrics, folder / f"{prefix}reliability.png")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror}") from error


def markdown(figures: Mapping[str, Any], pictures: bool = True, data: str = "") -> str:
    """Format an evaluation as Markdown, with links to the pictures in its folder if ``pictures``.

    Args:
        figures: the evaluation.
        pictures: the folder of the report has pictures.
        data: name of the data set, for the title.
    """
    latency = figures["latency_ms"]
    lines = [
        f"# {figures['model']} on {f'{data}, ' if data else ''}{figures['split']}",
        "",
        f"Size {figures['size'] / 1e6:.2f} MB; latency of one picture {latency['p50']:.1f} ms (median), "
        f"{latency['p95']:.1f} ms (95th percentile).",
        "",
        *_section("Against the class of the folder", figures, ""),
    ]
    if "votes" in figures:
        lines += _section("Against the majority of the annotators' votes", figures["votes"], "votes_")
    for kind, accuracies in figures.get("groups", {}).items():
        lines += _groups(kind, accuracies)
    return "\n".join(line for line in lines if pictures or not line.startswith("!["))


def overview(sets: Mapping[str, Mapping[str, Any]], mean: float) -> str:
    """Format evaluations of one model on several data sets as a Markdown table, with their mean recall."""
    head = ["data", "pictures", "accuracy", "95 % interval", "macro recall", "95 % interval", "ECE"]
    rows = []
    for name, figures in sets.items():
        rows.append(_overview_row(name, figures))
        if "votes" in figures:
            rows.append(_overview_row(f"{name}, majority of votes", figures["votes"]))
    note = "of data with votes, that against their majority" if any("votes" in each for each in sets.values()) else ""
    return f"{markdown_table(head, rows)}\n\nMean of the macro recalls{f' ({note})' if note else ''}: **{mean:.3f}**\n"


def _overview_row(name: str, figures: Mapping[str, Any]) -> list[str]:
    return [
        name,
        str(figures["pictures"]),
        f"{figures['accuracy']:.3f}",
        "{:.3f} to {:.3f}".format(*figures["interval"]),
        f"{figures['macro_recall']:.3f}",
        "{:.3f} to {:.3f}".format(*figures["macro_recall_interval"]),
        f"{figures['ece']:.3f}",
    ]


def comparison(rows: Sequence[Mapping[str, Any]]) -> str:
    """Format evaluations of several models on the same pictures as one Markdown table."""
    head = ["model", "accuracy", "95 % interval", "macro recall", "ECE", "accuracy on votes", "MB", "ms"]
    return markdown_table(head, [_comparison_row(row) for row in rows])


def _comparison_row(figures: Mapping[str, Any]) -> list[str]:
    low, high = figures["interval"]
    return [
        figures["model"],
        f"{figures['accuracy']:.3f}",
        f"{low:.3f} to {high:.3f}",
        f"{figures['macro_recall']:.3f}",
        f"{figures['ece']:.3f}",
        f"{figures['votes']['accuracy']:.3f}" if "votes" in figures else "",
        f"{figures['size'] / 1e6:.2f}",
        f"{figures['latency_ms']['p50']:.2f}",
    ]


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Format rows as a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def _section(title: str, figures: Mapping[str, Any], prefix: str) -> list[str]:
    low, high = figures["interval"]
    rows = [
        [label, *(f"{values[name]:.3f}" for name in ("precision", "recall", "f1")), values["pictures"]]
        for label, values in figures["classes"].items()
    ]
    return [
        f"## {title}",
        "",
        f"Accuracy **{figures['accuracy']:.3f}** (95 % interval {low:.3f} to {high:.3f}) on {figures['pictures']} "
        f"pictures; macro recall {figures['macro_recall']:.3f}; expected calibration error {figures['ece']:.3f}.",
        "",
        markdown_table(["class", "precision", "recall", "F1", "pictures"], rows),
        "",
        markdown_table(["min_confidence", "unknown", "accuracy of the others"], _rejection_rows(figures)),
        "",
        f"![Confusion matrix]({prefix}confusion.png) ![Confidence against accuracy]({prefix}reliability.png)",
        "",
    ]


def _rejection_rows(figures: Mapping[str, Any]) -> list[list[str]]:
    return [
        [f"{confidence:g}", f"{unknown:.3f}", "" if accuracy is None else f"{accuracy:.3f}"]
        for confidence, unknown, accuracy in figures["rejection"]
    ]


def _groups(kind: str, accuracies: Mapping[str, Any]) -> list[str]:
    gap = accuracies["gap"]
    summary = (
        "Fewer than two groups have enough pictures to compare."
        if gap is None
        else f"Largest gap: {gap:.3f}, between {accuracies['best']} (best) and {accuracies['worst']} (worst)."
    )
    rows = [
        [name, f"{values['accuracy']:.3f}", "{:.3f} to {:.3f}".format(*values["interval"]), values["pictures"]]
        for name, values in accuracies["groups"].items()
    ]
    table = markdown_table([kind, "accuracy", "95 % interval", "pictures"], rows)
    return [f"## By {kind}", "", summary, "", table, ""]


def save_confusion(figures: Mapping[str, Any], path: Path) -> None:
    """Draw the confusion matrix, as shares of each true class."""
    mpl.use("Agg")
    from matplotlib import pyplot

    counts, labels = np.array(figures["confusion"]), figures["labels"]
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 2 + 0.6 * len(labels)
    figure, axes = pyplot.subplots(figsize=(side, side), layout="constrained")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="predicted", ylabel="true", title=f"accuracy {figures['accuracy']:.1%} of {figures['pictures']}")
    for (row, column), share in np.ndenumerate(shares):
        axes.text(column, row, f"{share:.0%}", ha="center", va="center", color="white" if share > 0.5 else "black")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def save_reliability(figures: Mapping[str, Any], path: Path) -> None:
    """Draw accuracy over confidence; the diagonal is perfect calibration."""
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
