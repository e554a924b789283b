"""Speed and memory of this package as a library beside other packages, on the same frames."""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from contender import CONTENDERS
from contender_process import ContenderProcess
from sequence import FACE_COUNTS, SIZES, clip, sequence

ROUNDS = 3


def measure(arguments):
    """Return the median figures of each contender on each sequence.

    All contenders take turns in several rounds, so that other load on the machine affects all of them alike.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for name, frames in sequences(arguments.clip):
            paths[name] = f"{folder}/{len(paths)}.npy"
            np.save(paths[name], frames)
        processes = {name: ContenderProcess(arguments.peers, name) for name in CONTENDERS}
        rounds = []
        for number in range(ROUNDS):
            print(f"{time.strftime('%H:%M:%S')} round {number + 1} of {ROUNDS}", file=sys.stderr, flush=True)
            rounds.append(measure_round(processes, paths, arguments.seconds))
        for process in processes.values():
            process.close()
    return {
        name: {title: median_figures([results[name, title] for results in rounds]) for title in paths}
        for name in processes
    }


def measure_round(processes, paths, seconds):
    """Return the figures of each contender and sequence, measured once."""
    return {
        (name, title): process.request(f"{path} {seconds}")
        for title, path in paths.items()
        for name, process in processes.items()
    }


def sequence_title(size, count):
    """Return the column of a sequence: image size and number of faces."""
    return f"{size[0]}×{size[1]}: {count}"


def sequences(source):
    """Yield title and frames of each sequence."""
    for size in SIZES:
        for count in FACE_COUNTS:
            yield sequence_title(size, count), sequence(count, size)
    if source:
        yield f"{Path(source).name}, 640×480", clip(source)


def median_figures(rounds):
    """Return the median of each figure over the rounds; nested dictionaries likewise."""
    first = rounds[0]
    return {
        key: median_figures([figures[key] for figures in rounds])
        if isinstance(first[key], dict)
        else statistics.median(figures[key] for figures in rounds)
        for key in first
    }


def table(figures):
    """Return two Markdown tables: frames per second, and the cost of one frame at 640×480."""
    titles = list(next(iter(figures.values())))
    lines = ["", "Frames/s by image size and number of faces:", "", "| | " + " | ".join(titles) + " |"]
    lines.append("| --- |" + " --- |" * len(titles))
    for name, results in figures.items():
        lines.append(f"| {name} | " + " | ".join(f"{results[title]['frames/s']:.1f}" for title in titles) + " |")
    lines += [
        "",
        "| 640×480 | stages with one face, ms | processor time per frame with 1 and 8 faces, ms | detected of 8 faces "
        "| peak memory, MiB |",
        "| --- |" + " --- |" * 4,
    ]
    return "\n".join([*lines, *(cost_row(name, results) for name, results in figures.items())])


def cost_row(name, results):
    """Return a contender's row of the second table."""
    one, eight = (results[sequence_title(SIZES[0], count)] for count in (1, 8))
    stages = ", ".join(f"{stage} {ms:.1f}" for stage, ms in one["stages"].items()) or f"{one['ms']:.1f}"
    return (
        f"| {name} | {stages} | {one['cpu ms']:.1f}, {eight['cpu ms']:.1f} | {eight['faces']:.1f} "
        f"| {eight['peak MiB']:.0f} |"
    )
