"""``emotion-ros detect`` in this process: every frame of the sources, one after the other."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from emotion_ros.cli.result_lines import CSV_COLUMNS, csv_line, result_lines
from emotion_ros.config import PipelineConfig
from emotion_ros.errors import ImageError, SourceError
from emotion_ros.io.annotated_copies import AnnotatedCopies, plan_outputs
from emotion_ros.io.frames import SourceFrame, is_bag, is_picture, source_name
from emotion_ros.io.sources import frames
from emotion_ros.perception.pipeline import Pipeline

if TYPE_CHECKING:
    from emotion_ros.io.bags import BagWithEmotions


def detect(sources: Sequence[str], config: PipelineConfig, out: Path | None, form: str) -> int:
    """Process every frame of the sources and print the results as ``json``, ``csv`` or ``text``.

    Returns:
        0, or 1 if a source or picture cannot be read; it is reported and skipped.

    Raises:
        ConfigError: ``out`` is one file for several outputs.
        OutputError: ``out`` cannot be written.
        ModelError: a model cannot be used.
    """
    sources = [source_name(source) for source in sources]
    # Folders are listed before the first output is written.
    streams = [(source, _frames(source, config.max_image_pixels)) for source in sources]
    outputs = plan_outputs(sources, out) if out else {}
    copies = _copies(outputs)
    _print_renamed(outputs)
    pipeline = Pipeline(config)
    if form == "csv":
        print(csv_line(CSV_COLUMNS), end="")
    try:
        unreadable = sum(
            _detect_source(source, stream, pipeline, copies.get(source, copies.get("")), form)
            for source, stream in streams
        )
    finally:
        pipeline.close()
    if unreadable:
        print(f"emotion-ros: {unreadable} could not be read", file=sys.stderr)
    return int(unreadable > 0)


def _frames(source: str, max_pixels: int) -> Iterator[SourceFrame]:
    """Return the frames of a source; an error in opening it is raised by the first frame."""
    try:
        return frames(source, max_pixels=max_pixels)
    except SourceError as error:
        return _failed(error)


def _failed(error: SourceError) -> Iterator[SourceFrame]:
    raise error
    yield  # a generator raises when it is iterated


def _copies(outputs: Mapping[str, Path]) -> dict[str, AnnotatedCopies | BagWithEmotions]:
    """Return the copy of each bag by its name, and under the empty name the copies of all other sources."""
    bags = [name for name in outputs if is_bag(Path(name))]
    others = {name: path for name, path in outputs.items() if name not in bags}
    copies: dict[str, AnnotatedCopies | BagWithEmotions] = {"": AnnotatedCopies(others)} if others else {}
    if bags:
        from emotion_ros.io.bags import BagWithEmotions  # needs the optional rosbags

        copies |= {name: BagWithEmotions(Path(name), outputs[name]) for name in bags}
    return copies


def _print_renamed(outputs: Mapping[str, Path]) -> None:
    for name, path in outputs.items():
        if path.stem != Path(name).stem:
            print(f"{name}: written as {path}", file=sys.stderr)


def _detect_source(
    source: str,
    stream: Iterator[SourceFrame],
    pipeline: Pipeline,
    copies: AnnotatedCopies | BagWithEmotions | None,
    form: str,
) -> int:
    """Process a source and return how many pictures could not be read; 1 more if the source ended with an error."""
    unreadable = 0
    try:
        try:
            for frame in tqdm(stream, desc=source, unit="frame", file=sys.stderr, disable=None):
                unreadable += _detect_frame(frame, pipeline, copies, form)
        finally:  # also after Ctrl-C: what was processed until then is kept
            if copies:
                copies.close()
            if copies and is_bag(Path(source)):
                print(f"written: {copies.path}", file=sys.stderr)  # type: ignore[union-attr]
    except SourceError as error:
        print(f"emotion-ros: {error}; skipped", file=sys.stderr)
        unreadable += 1
    return unreadable


def _detect_frame(
    frame: SourceFrame, pipeline: Pipeline, copies: AnnotatedCopies | BagWithEmotions | None, form: str
) -> int:
    """Process a frame and return 0, or 1 if it could not be read."""
    if is_picture(Path(frame.source)):  # pictures are independent of each other
        pipeline.reset()
    try:
        if frame.image is None:
            raise ImageError(frame.problem)
        perception = pipeline.perceive(frame.image, frame.time, frame.source)
    except ImageError as error:
        print(f"emotion-ros: {frame.source}: {error}; skipped", file=sys.stderr)
        return 1
    print(result_lines(frame, perception, form), end="", flush=True)
    if copies:
        copies.add(frame, perception)
    return 0
