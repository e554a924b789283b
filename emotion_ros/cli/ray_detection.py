"""``emotion-ros detect --engine ray``: pictures, videos and bags in parallel, on this machine or on a cluster."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
import ray.data
from tqdm import tqdm

from emotion_ros.cli.result_fingerprint import result_fingerprint
from emotion_ros.cli.result_lines import CSV_COLUMNS, csv_line, result_lines
from emotion_ros.config import PipelineConfig
from emotion_ros.errors import ConfigError, ImageError, OutputError, SourceError
from emotion_ros.io.annotated_copies import make_folder
from emotion_ros.io.atomic_file import replacing
from emotion_ros.io.frames import SourceFrame, is_bag, is_camera, is_picture, source_name
from emotion_ros.io.pictures import picture_files
from emotion_ros.io.sources import PICTURE_RATE_HZ, check_source, frames, picture_frame
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.serving.ray_cluster import join, leave

PICTURES_PER_PART = 32
"""Number of pictures that are processed together. A video or bag is one part: its people are tracked across frames."""


@dataclasses.dataclass(frozen=True)
class Part:
    """Sources that one worker processes one after the other.

    Attributes:
        sources: one video or bag, or pictures.
        first: number of the first picture in its folder.
    """

    sources: tuple[str, ...]
    first: int = 0

    def key(self, fingerprint: str) -> str:
        """Return the name of the part's results; it changes with the sources and with the fingerprint."""
        files = [(source, *_version(source)) for source in self.sources]
        return hashlib.sha256(json.dumps([files, self.first, fingerprint]).encode()).hexdigest()[:24]


def _version(source: str) -> tuple[int, int]:
    """Return size and time of change, ns; zeros for a file that cannot be read, such as a dangling link."""
    try:
        status = os.stat(source)
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


class Worker:
    """A pipeline that processes parts, in a process of Ray."""

    def __init__(self, config: PipelineConfig, form: str) -> None:
        self._pipeline, self._form = Pipeline(config), form
        self._max_pixels = config.max_image_pixels

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the lines of a part, and a message per source that cannot be read."""
        lines: list[str] = []
        problems: list[str] = []
        part = Part(tuple(json.loads(row["sources"])), int(row["first"]))
        for number, source in enumerate(part.sources, part.first):
            try:
                lines += self._lines(source, number, problems)
            except SourceError as error:
                problems.append(f"{error}; skipped")
        return {"name": row["name"], "text": "".join(lines), "unreadable": json.dumps(problems)}

    def _lines(self, source: str, number: int, problems: list[str]) -> Iterator[str]:
        """Yield the lines of a source; unreadable frames are skipped."""
        self._pipeline.reset()
        for frame in self._frames(source, number):
            try:
                if frame.image is None:
                    raise ImageError(frame.problem)
                perception = self._pipeline.perceive(frame.image, frame.time, frame.source)
            except ImageError as error:
                problems.append(f"{frame.source}: {error}; skipped")
                continue
            yield result_lines(frame, perception, self._form)

    def _frames(self, source: str, number: int) -> Iterator[SourceFrame]:
        if is_picture(Path(source)):
            return iter([picture_frame(Path(source), number, PICTURE_RATE_HZ, self._max_pixels)])
        return frames(source, max_pixels=self._max_pixels)


def detect_on_ray(sources: Sequence[str], config: PipelineConfig, out: Path, form: str, address: str) -> int:
    """Process every frame of the sources and print the results like :func:`emotion_ros.cli.local_detection.detect`.

    Args:
        sources: pictures, folders of pictures, videos and bags; other machines must have them at the same paths.
        config: settings of the pipelines.
        out: folder that keeps the results of each finished part; a further run resumes there.
        form: ``json``, ``csv`` or ``text``.
        address: running cluster; empty: one is started on this machine.

    Returns:
        0, or 1 if a source or picture cannot be read; it is reported and skipped.

    Raises:
        ConfigError: a source is a camera or the sample, or the cluster cannot be reached.
        ModelError: a model is missing.
        OutputError: ``out`` cannot be written.
    """
    parts, problems = _plan(sources)
    fingerprint = f"{form} {result_fingerprint(config)}"
    files = [out / f"{part.key(fingerprint)}.json" for part in parts]
    make_folder(out)
    missing = {file.stem: part for part, file in zip(parts, files, strict=True) if not file.is_file()}
    if missing:
        _run(missing, config, out, form, address, len(parts))
    if form == "csv":
        print(csv_line(CSV_COLUMNS), end="")
    for file in files:
        content = json.loads(file.read_text())
        print(content["text"], end="")
        problems += content["unreadable"]
    for problem in problems:
        print(f"emotion-ros: {problem}", file=sys.stderr)
    if problems:
        print(f"emotion-ros: {len(problems)} could not be read", file=sys.stderr)
    return int(bool(problems))


def _plan(sources: Sequence[str]) -> tuple[list[Part], list[str]]:
    """Return the parts of the sources, and a message per source that cannot be read."""
    parts: list[Part] = []
    problems: list[str] = []
    for source in sources:
        if is_camera(source) or source == "sample" or source.startswith("/dev/"):  # a worker has another /dev/stdin
            raise ConfigError(f"engine ray: expected pictures, folders, videos or bags, got {source}")
        try:
            parts += _parts(source)
        except SourceError as error:
            problems.append(f"{error}; skipped")
    return parts, problems


def _parts(source: str) -> Iterator[Part]:
    check_source(source)
    source = source_name(source)
    path = Path(source)
    if not path.is_dir() or is_bag(path):
        yield Part((source,))
        return
    pictures = [str(picture) for picture in picture_files(path)]
    for first in range(0, len(pictures), PICTURES_PER_PART):
        yield Part(tuple(pictures[first : first + PICTURES_PER_PART]), first)


def _run(missing: Mapping[str, Part], config: PipelineConfig, out: Path, form: str, address: str, total: int) -> None:
    """Process parts, given by the name of their results, and keep the results of each as soon as it is finished."""
    join(address)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    processors: float = ray.cluster_resources().get("CPU", 1)  # type: ignore[no-untyped-call]
    workers = max(min(len(missing), int(processors)), 1)
    rows = [
        {"name": name, "sources": json.dumps(part.sources), "first": part.first}
        for name, part in sorted(missing.items())
    ]
    try:
        results = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            Worker,  # type: ignore[arg-type]
            fn_constructor_args=(config, form),
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=1,
        )
        with tqdm(total=total, initial=total - len(missing), unit="part", file=sys.stderr, disable=None) as progress:
            for row in results.iter_rows():
                _keep(out / f"{row['name']}.json", {"text": row["text"], "unreadable": json.loads(row["unreadable"])})
                progress.update()
    finally:
        leave()


def _keep(file: Path, content: dict[str, Any]) -> None:
    try:
        with replacing(file) as partial:
            partial.write_text(json.dumps(content))
    except OSError as error:
        raise OutputError(f"{file}: cannot be written: {error.strerror}; the finished parts are kept") from error
