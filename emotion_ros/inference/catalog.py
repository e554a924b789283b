"""Model files: those that come with this package and those that can be downloaded when the user asks for it."""

from __future__ import annotations

import hashlib
import http
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from tqdm import tqdm

from emotion_ros.config.package_files import package_folders
from emotion_ros.errors import ModelError, OutputError

DEFAULT_MODEL = "emotion_resnet18.onnx"
FACE_MODEL = "emotion_faces.onnx"
TIMEOUT = 30
"""Seconds without an answer after which a download is given up."""


@dataclass(frozen=True)
class Entry:
    """A model: ``file`` is its name on disk, ``sha256`` of its content in hex, ``url`` empty where it comes with the
    package."""

    name: str
    file: str
    sha256: str
    licence: str
    url: str = ""

    def path(self) -> Path:
        """Where it is, or where :func:`fetch` puts it.

        Raises:
            ModelError: it should have come with the package and is not there.
        """
        return download_folder() / self.file if self.url else _find_file(self.file)


def models_folders() -> Iterator[Path]:
    """Where model files are looked for: what the user downloaded, the installed package, the source tree."""
    yield download_folder()
    yield from (folder / "models" for folder in package_folders())


def download_folder() -> Path:
    """``$EMOTION_ROS_MODELS``, or ``emotion_ros/models`` in the user's data folder."""
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(os.environ.get("EMOTION_ROS_MODELS") or Path(data) / "emotion_ros" / "models")


def default_model() -> Path:
    """The classifier of this package.

    Raises:
        ModelError: it is not installed.
    """
    return _find_file(DEFAULT_MODEL)


def default_face_model() -> Path:
    """The face detector of this package.

    Raises:
        ModelError: it is not installed.
    """
    return _find_file(FACE_MODEL)


def find_model(name: str) -> Path:
    """A model by path, or by its name in the catalog.

    Raises:
        ModelError: there is no such file; the text says how to get it.
    """
    if Path(name).is_file():
        return Path(name)
    entry = catalog().get(name)
    if entry is None:
        raise ModelError(f"{name}: found no such file; expected a model file, or one of {', '.join(catalog())}")
    try:
        return _find_file(entry.file)
    except ModelError:
        if not entry.url:
            raise
        raise ModelError(f"{name}: not downloaded yet; get it with: emotion-ros models fetch {name}") from None


def catalog() -> dict[str, Entry]:
    """All models that come with the package or can be downloaded, by name."""
    with _find_file("catalog.yaml").open() as file:
        return {name: Entry(name, **values) for name, values in yaml.safe_load(file).items()}


def fetch(entry: Entry, folder: Path) -> Path:
    """Download a model, unless it comes with the package, and check its content; what is wrong is not kept.

    Shows progress where standard error is a terminal. What an interrupted download has got is kept and gone on with.

    Raises:
        ModelError: the host does not answer, or the content is not what the catalog says.
        OutputError: the folder cannot be written.
    """
    if not entry.url:
        return entry.path()
    target, partial = folder / entry.file, folder / f"{entry.file}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _download(entry.url, partial)
        digest = hashlib.sha256(partial.read_bytes()).hexdigest()
        if digest != entry.sha256:
            partial.unlink()
            raise ModelError(f"{entry.url}: expected sha256 {entry.sha256}, got {digest}; nothing was kept")
        os.replace(partial, target)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise ModelError(
            f"{entry.url}: cannot be downloaded ({error}). Run on a machine with internet: "
            f"curl -L -o {entry.file} {entry.url}; then put the file here: {target}"
        ) from error
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error}; set EMOTION_ROS_MODELS to another folder") from error
    return target


def _download(url: str, partial: Path) -> None:
    """Append what is missing to a file that an earlier try may have begun."""
    have = partial.stat().st_size if partial.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # all of it is here
        raise
    with answer:
        goes_on = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        length = answer.headers.get("Content-Length")
        begun = have if goes_on else 0
        total = begun + int(length) if length else None
        with (
            partial.open("ab" if goes_on else "wb") as file,
            tqdm(total=total, initial=begun, unit="B", unit_scale=True, desc=partial.stem, disable=None) as progress,
        ):
            while block := answer.read(1 << 16):
                file.write(block)
                progress.update(len(block))


def verify(entry: Entry) -> tuple[bool, str]:
    """Whether a downloaded model is what the catalog says, and that in words; one that is not there is fine."""
    path = entry.path()
    if not path.is_file():
        return True, f"{entry.name}: not downloaded"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest == entry.sha256:
        return True, f"{entry.name}: {path} is what the catalog says"
    cure = f"get it anew with: emotion-ros models fetch {entry.name}" if entry.url else "build the package again"
    return False, f"{entry.name}: {path} is broken or changed, expected sha256 {entry.sha256}, got {digest}; {cure}"


def _find_file(name: str) -> Path:
    for folder in models_folders():
        if (folder / name).is_file():
            return folder / name
    raise ModelError(f"{name}: expected it in the package's models folder; build the package again")
