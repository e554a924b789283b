"""``emotion-ros detect --engine ray``: folders, videos and bags side by side, on this machine or many."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ray
import ray.data
from tqdm import tqdm

from emotion_ros.cli.local_detection import CSV_HEADER, described
from emotion_ros.config import PipelineConfig
from emotion_ros.errors import ConfigError, OutputError, SourceError
from emotion_ros.io.frames import PICTURES, is_camera
from emotion_ros.io.sources import PICTURE_RATE_HZ, frames
from emotion_ros.perception.pipeline import Pipeline
from emotion_ros.serving.ray_cluster import join, leave

TOGETHER = 32
"""Pictures of a part; a video or a bag is a part by itself, for who is in it lasts from frame to frame."""


@dataclasses.dataclass(frozen=True)
class Part:
    """Sources that are perceived one after the other; ``first`` is the number of the first one, if they are pictures
    of a folder."""

    sources: tuple[str, ...]
    first: int = 0

    def name(self, config: PipelineConfig, form: str) -> str:
        """Of the file with what is in it: another where a source, a setting or the form is another."""
        about = [(source, Path(source).stat().st_size, Path(source).stat().st_mtime_ns) for source in self.sources]
        text = json.dumps([about, self.first, dataclasses.asdict(config), form])
        return hashlib.sha256(text.encode()).hexdigest()[:24]


class Worker:
    """A pipeline that perceives parts."""

    def __init__(self, config: PipelineConfig, form: str) -> None:
        self._pipeline, self._form = Pipeline(config), form

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """The lines of a part, and what could not be read."""
        lines: list[str] = []
        unreadable: list[str] = []
        part = Part(tuple(json.loads(row["sources"])), int(row["first"]))
        for number, source in enumerate(part.sources, part.first):
            try:
                lines += self._lines(source, number, unreadable)
            except SourceError as error:
                unreadable.append(f"{error}; skipped")
        return {"name": row["name"], "text": "".join(lines), "unreadable": json.dumps(unreadable)}

    def _lines(self, source: str, number: int, unreadable: list[str]) -> Iterator[str]:
        self._pipeline.reset()
        picture = Path(source).suffix.lower() in PICTURES
        for frame in frames(source):
            if frame.image is None:
                unreadable.append(f"{source}: not a picture that can be read; skipped")
                continue
            place = {"number": number, "time": number / PICTURE_RATE_HZ} if picture else {}
            perception = self._pipeline.perceive(frame.image, float(place.get("time", frame.time)), source)
            yield described(dataclasses.replace(frame, **place), perception, self._form)  # type: ignore[arg-type]


def detect_on_ray(sources: Sequence[str], config: PipelineConfig, out: Path, form: str, address: str) -> int:
    """Perceive every frame of the sources and print what was seen, as :func:`emotion_ros.cli.detect.detect` does.

    Args:
        sources: pictures, folders of pictures, videos and bags; other machines must find them under the same names.
        config: of the pipelines.
        out: folder where each part is kept once it is done, so that another run goes on from there.
        form: ``json``, ``csv`` or ``text``.
        address: of a running cluster; empty: one is started on this machine.

    Returns:
        0, or 1 where a file could not be read (it is reported and skipped).

    Raises:
        ConfigError: a source is a camera, or the cluster cannot be reached.
        OutputError: ``out`` cannot be written.
        SourceError: there is no such source.
    """
    parts = list(_parts(sources))
    files = [out / f"{part.name(config, form)}.json" for part in parts]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: expected a folder that can be written to: {error.strerror}") from error
    todo = {file.stem: part for part, file in zip(parts, files, strict=True) if not file.is_file()}
    if todo:
        _run(todo, config, out, form, address, len(parts))
    unreadable: list[str] = []
    if form == "csv":
        print(CSV_HEADER)
    for file in files:
        content = json.loads(file.read_text())
        print(content["text"], end="")
        unreadable += content["unreadable"]
    for each in unreadable:
        print(f"emotion-ros: {each}", file=sys.stderr)
    if unreadable:
        print(f"emotion-ros: {len(unreadable)} could not be read", file=sys.stderr)
    return int(bool(unreadable))


def _parts(sources: Sequence[str]) -> Iterator[Part]:
    for source in sources:
        path = Path(source)
        if is_camera(source) or source == "sample":
            raise ConfigError(f"engine ray: expected pictures, folders, videos or bags, got {source}")
        if not path.exists():
            raise SourceError(f"{source}: expected a picture, a folder, a video or a bag, found nothing there")
        if not path.is_dir() or (path / "metadata.yaml").is_file():
            yield Part((source,))
            continue
        pictures = sorted(str(each) for each in path.iterdir() if each.suffix.lower() in PICTURES)
        for first in range(0, len(pictures), TOGETHER):
            yield Part(tuple(pictures[first : first + TOGETHER]), first)


def _run(todo: dict[str, Part], config: PipelineConfig, out: Path, form: str, address: str, total: int) -> None:
    """Perceive parts; each is kept as soon as it is done."""
    join(address)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    processors: float = ray.cluster_resources().get("CPU", 1)  # type: ignore[no-untyped-call]
    workers = max(min(len(todo), int(processors)), 1)
    rows = [
        {"name": name, "sources": json.dumps(part.sources), "first": part.first} for name, part in sorted(todo.items())
    ]
    try:
        perceived = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            Worker,  # type: ignore[arg-type]
            fn_constructor_args=(config, form),
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=1,
        )
        done = tqdm(total=total, initial=total - len(todo), unit="part", file=sys.stderr, disable=None)
        for row in perceived.iter_rows():
            _keep(out / f"{row['name']}.json", {"text": row["text"], "unreadable": json.loads(row["unreadable"])})
            done.update()
        done.close()
    finally:
        leave()


def _keep(file: Path, content: dict[str, Any]) -> None:
    partial = file.with_suffix(".partial")
    try:
        partial.write_text(json.dumps(content))
        os.replace(partial, file)
    except OSError as error:
        raise OutputError(f"{file}: cannot be written: {error.strerror}; the parts before it are kept") from error
