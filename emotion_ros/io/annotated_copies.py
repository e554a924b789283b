"""Plan and write the annotated copies of sources."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2

from emotion_ros.errors import ConfigError, OutputError, SourceError
from emotion_ros.io.atomic_file import replacing
from emotion_ros.io.drawing import draw
from emotion_ros.io.frames import PICTURES, SourceFrame, is_bag, is_camera, is_picture, source_name
from emotion_ros.io.pictures import picture_files
from emotion_ros.io.video import VideoFile
from emotion_ros.types import Image, Perception

VIDEO_SUFFIX = ".mp4"


def plan_outputs(sources: Sequence[str], out: Path) -> dict[str, Path]:
    """Return the output file of each source; all are different, and none is a source.

    Args:
        sources: as of :func:`emotion_ros.io.sources.frames`. A folder of pictures has one output per picture.
        out: a folder; or a file, if there is one output only.

    Returns:
        ``SourceFrame.source``, or the bag, to its output: a picture for a picture, a folder for a bag, else a video.
        It has the source's name. Sources of equal names are prefixed with their folder's name, then suffixed with a
        number. ``_annotated`` is appended if the output would replace a source.

    Raises:
        ConfigError: ``out`` is a file, but there are several outputs, one of another kind, or the source itself.
    """
    inputs = list(dict.fromkeys(name for source in sources for name in _inputs(source)))
    files = _Inputs(inputs)
    if out.suffix.lower() in (*PICTURES, VIDEO_SUFFIX) and not out.is_dir():
        _check_single_output(inputs, out, files)
        return {inputs[0]: out}
    counts = Counter(_default_name(name) for name in inputs)
    outputs: dict[str, Path] = {}
    taken: set[str] = set()  # in lower case: some file systems do not distinguish case
    for name in inputs:
        candidates = _candidates(name, out, counts[_default_name(name)] > 1, files)
        outputs[name] = next(path for path in candidates if path not in files and path.name.lower() not in taken)
        taken.add(outputs[name].name.lower())
    return outputs


def _inputs(source: str) -> list[str]:
    """Return the names of all inputs that a source consists of; none for a folder that cannot be read."""
    path = Path(source)
    if source == "sample" or is_camera(source) or is_bag(path) or not path.is_dir():
        return [source_name(source)]
    try:
        return [str(picture) for picture in picture_files(path)]
    except SourceError:  # reported when it is read
        return []


class _Inputs:
    """Files that must not be written, by identity: other names and links of the same file are recognised."""

    def __init__(self, names: Sequence[str]) -> None:
        self._files = {identity for name in names if (identity := _identity(Path(name)))}

    def __contains__(self, path: Path) -> bool:
        return _identity(path) in self._files


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _check_single_output(inputs: Sequence[str], out: Path, files: _Inputs) -> None:
    if len(inputs) != 1 or is_bag(Path(inputs[0])):
        raise ConfigError(f"out: expected a folder for the outputs of {len(inputs)} sources, got the file {out}")
    if is_picture(Path(inputs[0])) != is_picture(out):
        kind = "picture" if is_picture(Path(inputs[0])) else "video (.mp4)"
        raise ConfigError(f"out: expected a folder or a {kind} for {inputs[0]}, got {out}")
    if out in files:
        raise ConfigError(f"out: expected another file than the source {out}; name another file, or a folder")


def _suffix(name: str) -> str:
    path = Path(name)
    return path.suffix if is_picture(path) else "" if is_bag(path) else VIDEO_SUFFIX


def _default_name(name: str) -> str:
    """Return the name of an output if no other has it, in lower case."""
    return f"{Path(name).stem}{_suffix(name)}".lower()


def _candidates(name: str, folder: Path, shared: bool, files: _Inputs) -> Iterator[Path]:
    """Yield paths for an output in ``folder``, the best first; ``shared``: another input has the same default name."""
    stem, parent, suffix = Path(name).stem, Path(name).absolute().parent.name, _suffix(name)
    first = f"{parent}_{stem}" if shared and parent else stem
    if folder / f"{first}{suffix}" in files:
        first += "_annotated"
    yield folder / f"{first}{suffix}"
    yield from (folder / f"{first}_{number}{suffix}" for number in itertools.count(2))


class AnnotatedCopies:
    """Writes annotated copies: pictures as pictures, anything else as a video.

    Args:
        outputs: see :func:`plan_outputs`; their folders are created.

    Raises:
        OutputError: a folder cannot be created.
    """

    def __init__(self, outputs: Mapping[str, Path]) -> None:
        self._outputs = outputs
        self._videos: dict[str, VideoFile] = {}
        for folder in {path.parent for path in outputs.values()}:
            make_folder(folder)

    def add(self, frame: SourceFrame, perception: Perception) -> None:
        """Write one annotated frame.

        Raises:
            OutputError: it cannot be written.
        """
        assert frame.image is not None
        picture, path = draw(frame.image, perception), self._outputs[frame.source]
        if is_picture(path):
            _write_picture(path, picture)
            return
        if frame.source not in self._videos:
            self._videos[frame.source] = VideoFile(path, frame.rate)
        self._videos[frame.source].add(picture, frame.time)

    def close(self) -> None:
        """Finish the videos that are open; further frames would begin new ones.

        Raises:
            OutputError: one is not whole.
        """
        videos, self._videos = list(self._videos.values()), {}
        for video in videos:
            video.close()
        for video in videos:
            if not video.written:
                raise OutputError(
                    f"{video.path}: is not whole and cannot be played; is the disk full, or the folder read-only?"
                )


def make_folder(folder: Path) -> None:
    """Create a folder and its parents.

    Raises:
        OutputError: it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: expected a folder that can be written to: {error.strerror}") from error


def _write_picture(path: Path, picture: Image) -> None:
    """Write a picture in the format of its suffix; an existing file is replaced when the new one is complete."""
    success, content = cv2.imencode(path.suffix, picture)
    if not success:
        raise OutputError(f"{path}: OpenCV cannot write this format; choose another suffix")
    try:
        with replacing(path) as partial:
            partial.write_bytes(content.tobytes())
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
