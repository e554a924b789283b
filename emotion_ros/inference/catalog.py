"""Model files: those installed with this package, and those that the user can download."""

from __future__ import annotations

import contextlib
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
from emotion_ros.config.user_folders import data_folder
from emotion_ros.errors import ModelError, OutputError

DEFAULT_MODEL = "emotion_resnet18.onnx"
FACE_MODEL = "emotion_faces.onnx"
FACE_LANDMARK_MODEL = "emotion_face_landmarks.onnx"
EYE_MODEL = "emotion_eyes.onnx"
HAND_MODELS = "emotion_hands.onnx", "emotion_hand_landmarks.onnx"

DOWNLOAD_TIMEOUT_S = 30
"""Time without data after which a download is given up."""

DOWNLOAD_BLOCK_BYTES = 1 << 16


@dataclass(frozen=True)
class Entry:
    """A model of the catalog.

    Attributes:
        name: name in the catalog.
        file: file name.
        sha256: hash of the content, in hex.
        licence: SPDX identifier.
        url: address to download it from; empty: it is installed with the package.
        size: bytes of the content that is downloaded.
    """

    name: str
    file: str
    sha256: str
    licence: str
    url: str = ""
    size: int = 0

    def path(self) -> Path:
        """Return the model's file, or the path where it is expected if it is not downloaded or not installed."""
        return _existing(self.file) or next(models_folders()) / self.file


def models_folders() -> Iterator[Path]:
    """Yield the folders that are searched for model files: downloads, the installed package, the source tree."""
    downloads = download_folder()
    if downloads:
        yield downloads
    yield from (folder / "models" for folder in package_folders())


def download_folder() -> Path | None:
    """Return ``$EMOTION_ROS_MODELS``, or ``models`` in the user's data folder; None if the user has no home."""
    named, data = os.environ.get("EMOTION_ROS_MODELS"), data_folder()
    return Path(named) if named else data / "models" if data else None


def writable_folder() -> Path:
    """Return the download folder.

    Raises:
        OutputError: there is none.
    """
    folder = download_folder()
    if folder is None:
        raise OutputError("models: the user has no home folder; set EMOTION_ROS_MODELS to a folder for downloads")
    return folder


def default_model() -> Path:
    """Return the classifier of this package.

    Raises:
        ModelError: it is not installed.
    """
    return _installed(DEFAULT_MODEL)


def default_face_model() -> Path:
    """Return the face detector of this package.

    Raises:
        ModelError: it is not installed.
    """
    return _installed(FACE_MODEL)


def default_face_landmark_model() -> Path:
    """Return the network of face landmarks and head pose of this package.

    Raises:
        ModelError: it is not installed.
    """
    return _installed(FACE_LANDMARK_MODEL)


def default_eye_model() -> Path:
    """Return the eye network of this package.

    Raises:
        ModelError: it is not installed.
    """
    return _installed(EYE_MODEL)


def default_hand_models() -> tuple[Path, Path]:
    """Return the hand detector and the hand landmark network of this package.

    Raises:
        ModelError: one is not installed.
    """
    return _installed(HAND_MODELS[0]), _installed(HAND_MODELS[1])


def find_model(name: str) -> Path:
    """Return a model by its path, or by its name in the catalog.

    Raises:
        ModelError: the file does not exist; the message names the command that downloads it.
    """
    with contextlib.suppress(OSError, ValueError):  # a name that is too long for a path, or has a NUL
        if Path(name).is_file():
            return Path(name)
    entry = catalog().get(name)
    if entry is None:
        raise ModelError(f"{name[:200]!r}: found no such file; expected a model file, or one of {', '.join(catalog())}")
    path = entry.path()
    if entry.url and not path.is_file():
        raise ModelError(f"{name}: not downloaded yet; get it with: emotion-ros models fetch {name}")
    return _installed(entry.file)


def catalog() -> dict[str, Entry]:
    """Return all models that are installed with the package or can be downloaded, by name."""
    with _installed("catalog.yaml").open() as file:
        return {name: Entry(name, **values) for name, values in yaml.safe_load(file).items()}


def fetch(entry: Entry, folder: Path) -> Path:
    """Download a model and check its content; a model that is installed with the package is only located.

    Shows progress if standard error is a terminal. An interrupted download is kept as ``.partial`` and resumed by the
    next call, which is why no :func:`emotion_ros.io.atomic_file.replacing` is used. Content with another hash, or
    with more bytes than in the catalog, is removed.

    Raises:
        ModelError: the host does not answer, or the content differs from the catalog.
        OutputError: the folder cannot be written.
    """
    if not entry.url:
        return _installed(entry.file)
    target, partial = folder / entry.file, folder / f"{entry.file}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _download(entry, partial)
        if partial.stat().st_size < entry.size:
            received = f"expected {entry.size} bytes, got {partial.stat().st_size}"
            raise ModelError(f"{entry.url}: {received}; the same command resumes the download")
        digest = _sha256(partial)
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


def _download(entry: Entry, partial: Path) -> None:
    """Append the missing rest to a file. What it holds already is kept if the host sends less."""
    size = partial.stat().st_size if partial.is_file() else 0
    request = urllib.request.Request(entry.url, headers={"Range": f"bytes={size}-"} if size else {})
    try:
        response = urllib.request.urlopen(request, timeout=DOWNLOAD_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # the file is complete
        raise
    with response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        received = size if resumed else 0
        partial.touch()
        with (
            partial.open("r+b") as file,
            tqdm(total=entry.size, initial=received, unit="B", unit_scale=True, desc=partial.stem, disable=None) as bar,
        ):
            file.seek(received)
            while block := response.read(DOWNLOAD_BLOCK_BYTES):
                received += len(block)
                if received > entry.size:
                    partial.unlink()
                    raise ModelError(f"{entry.url}: expected {entry.size} bytes, got more; nothing was kept")
                file.write(block)
                bar.update(len(block))


def verify(entry: Entry) -> tuple[bool, str]:
    """Return whether a model's file has the catalog's hash, and a message; true if it is not downloaded.

    Raises:
        ModelError: it should be installed with the package and is not.
    """
    path = entry.path()
    if entry.url and not path.is_file():
        return True, f"{entry.name}: not downloaded"
    digest = _sha256(_installed(entry.file))
    if digest == entry.sha256:
        return True, f"{entry.name}: {path} matches the catalog"
    remedy = f"download it again: emotion-ros models fetch {entry.name}" if entry.url else "build the package again"
    return False, f"{entry.name}: {path} is broken or changed, expected sha256 {entry.sha256}, got {digest}; {remedy}"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _existing(file: str) -> Path | None:
    return next((folder / file for folder in models_folders() if (folder / file).is_file()), None)


def _installed(file: str) -> Path:
    path = _existing(file)
    if path is None:
        raise ModelError(f"{file}: expected it in the package's models folder; build the package again")
    return path
