"""``emotion-ros detect``: many frames without ROS."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
from tqdm import tqdm

from emotion_ros.config import PipelineConfig
from emotion_ros.errors import OutputError, SourceError
from emotion_ros.io.drawing import draw
from emotion_ros.io.frames import PICTURES, SourceFrame, is_bag
from emotion_ros.io.records import perception_record
from emotion_ros.io.sources import frames
from emotion_ros.io.video import VideoFile
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.types import Perception

if TYPE_CHECKING:
    from emotion_ros.io.bags import BagWithEmotions

CSV_HEADER = "source,frame,time,id,label,confidence,x,y,width,height"


class _Copies:
    """Annotated copies: pictures as pictures, anything else as a video; in a folder, or as one file that is named."""

    def __init__(self, out: Path) -> None:
        self._file = out if out.suffix.lower() in (*PICTURES, ".mp4") else None
        folder = self._folder = out.parent if self._file else out
        self._videos: dict[str, VideoFile] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: expected a folder that can be written to: {error.strerror}") from error

    def add(self, frame: SourceFrame, perception: Perception) -> None:
        """Write one annotated frame.

        Raises:
            OutputError: it cannot be written.
        """
        assert frame.image is not None
        picture, source = draw(frame.image, perception), Path(frame.source)
        if source.suffix.lower() in PICTURES:
            target = self._file or self._folder / source.name
            if not cv2.imwrite(str(target), picture):
                raise OutputError(f"{target}: cannot be written; is the disk full, or the folder read-only?")
            return
        if frame.source not in self._videos:
            self._videos[frame.source] = VideoFile(self._file or self._folder / f"{source.stem}.mp4")
        self._videos[frame.source].add(picture, frame.time)

    def close(self) -> None:
        """Finish the videos.

        Raises:
            OutputError: one could not be written.
        """
        for video in self._videos.values():
            video.close()
            if not video.written:
                raise OutputError(f"{video.path}: cannot be written; is the disk full, or the folder read-only?")


def detect(sources: Sequence[str], config: PipelineConfig, out: Path | None, form: str) -> int:
    """Perceive every frame of the sources and print what was seen as ``json``, ``csv`` or ``text``.

    Returns:
        0, or 1 where a file could not be read (it is reported and skipped).

    Raises:
        OutputError: ``out`` cannot be written.
        ModelError: a model cannot be used.
    """
    copies = _Copies(out) if out and not all(is_bag(Path(source)) for source in sources) else None
    pipeline = Pipeline(config)
    unreadable = 0
    if form == "csv":
        print(CSV_HEADER)
    try:
        for source in sources:
            if out and is_bag(Path(source)):
                unreadable += _detect_bag(Path(source), pipeline, out, form)
            else:
                unreadable += _detect_source(source, pipeline, copies, form)
    finally:
        pipeline.close()
        if copies:
            copies.close()
    if unreadable:
        print(f"emotion-ros: {unreadable} could not be read", file=sys.stderr)
    return int(unreadable > 0)


def _detect_bag(source: Path, pipeline: Pipeline, out: Path, form: str) -> int:
    """A bag with emotions added instead of annotated copies; what was perceived until Ctrl-C is in it."""
    from emotion_ros.io.bags import BagWithEmotions

    bag = BagWithEmotions(source, out)
    try:
        return _detect_source(str(source), pipeline, bag, form)
    finally:
        bag.close()
        print(f"written: {bag.path}", file=sys.stderr)


def _detect_source(source: str, pipeline: Pipeline, copies: _Copies | BagWithEmotions | None, form: str) -> int:
    unreadable = 0
    try:
        for frame in tqdm(frames(source), desc=source, unit="frame", file=sys.stderr, disable=None):
            if frame.image is None:
                print(f"emotion-ros: {frame.source}: not a picture that can be read; skipped", file=sys.stderr)
                unreadable += 1
                continue
            if Path(frame.source).suffix.lower() in PICTURES:  # they have nothing to do with each other
                pipeline.reset()
            perception = pipeline.perceive(frame.image, frame.time, frame.source)
            print(described(frame, perception, form), end="", flush=True)
            if copies:
                copies.add(frame, perception)
    except SourceError as error:
        print(f"emotion-ros: {error}; skipped", file=sys.stderr)
        unreadable += 1
    return unreadable


def described(frame: SourceFrame, perception: Perception, form: str) -> str:
    """What was perceived in a frame, as ``json``, ``csv`` or ``text``: lines, or nothing."""
    start = {"source": frame.source, "frame": frame.number, "time": round(frame.time, 4)}
    if form == "json":
        return json.dumps({**start, **perception_record(perception)}) + "\n"
    if form == "text" and not perception.people:
        return f"{frame.source} {frame.number}: nobody\n"
    lines = []
    for person in perception.people:
        box = person.face.box.rounded()
        if form == "csv":
            values = [*start.values(), person.id, person.label, f"{person.confidence:.4f}", *box]
            lines.append(",".join(str(value) for value in values))
        else:
            lines.append(f"{frame.source} {frame.number}: {person.id} {person.label} {person.confidence:.2f} at {box}")
    return "".join(f"{line}\n" for line in lines)
