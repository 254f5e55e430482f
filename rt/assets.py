"""Files that are too large or too foreign to ship: which ones, where they are looked for, how they are checked.

Looked up in $MYOMIRROR_ASSETS, then in the user's cache folder. Only `fetch` ever opens a connection, from a pinned
address, and what comes is kept only when its sha256 is the pinned one.
"""

import hashlib
import http.client
import os
import tempfile
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from rt.errors import BadSettings, MissingDevice

FOLDER_VARIABLE = "MYOMIRROR_ASSETS"
FACE_LANDMARKER = "face_landmarker.task"
FACE_MODEL = "ict_facekit_light.npz"
CANONICAL_FACE = "canonical_face_model.obj"
_PIECE = 1 << 16  # bytes per read while downloading
_PATIENCE_S = 20.0  # without a byte

Progress = Callable[[int, int], None]  # (bytes so far, bytes in all)


@dataclass(frozen=True)
class Asset:
    """One pinned file."""

    name: str
    size: int  # bytes
    sha256: str
    address: str  # "" where there is none to download this very file from
    licence: str
    purpose: str  # what does not work without it
    origin: str = ""  # how to get one without an address


ASSETS = (
    Asset(
        FACE_LANDMARKER,
        3_758_596,
        "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
        "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
        "Apache-2.0, Google",
        "without it the crop does not follow the face and no expression is read",
    ),
    Asset(
        FACE_MODEL,
        15_364_057,
        "eb96c552463c233b158fe1ea07c33508782c21990a61ec6efcfa3c188e09caca",
        "",
        "MIT, USC ICT",
        "without it no synthetic people can be drawn, and the page has no 3D face",
        "get https://github.com/ICT-VGL/ICT-FaceKit and give its folder FaceXModel with --face-model",
    ),
    Asset(
        CANONICAL_FACE,
        45_999,
        "8bac80443397e113f41a8b565ea72c59390bc031d9defab289dba7bc0c54e618",
        "",
        "Apache-2.0, Google",
        "without it no electrodes can be drawn on photos of real people",
        "it is mediapipe/modules/face_geometry/data/canonical_face_model.obj of https://github.com/google-ai-edge/"
        "mediapipe; put it into the folder that $MYOMIRROR_ASSETS names",
    ),
)


def asset(name: str) -> Asset:
    """The pinned asset of that name. Raises BadSettings naming those that exist."""
    for known in ASSETS:
        if known.name == name:
            return known
    raise BadSettings(f"there is no asset {name!r}: the assets are {', '.join(a.name for a in ASSETS)}")


def cache_folder() -> Path:
    """Where `fetch` puts files: the user's cache, e.g. ~/.cache/myomirror/assets. It need not exist yet."""
    return Path(platformdirs.user_cache_dir("myomirror", appauthor=False)) / "assets"


def cure(name: str) -> str:
    """What to do when an asset is missing."""
    return asset(name).origin or "myomirror assets fetch"


def find(name: str) -> Path | None:
    """The file of a pinned asset, or None. Its content is not read: `state` does that. Raises BadSettings."""
    wanted = asset(name).name
    given = os.environ.get(FOLDER_VARIABLE)
    folders = ([Path(given)] if given else []) + [cache_folder()]
    return next((folder / wanted for folder in folders if (folder / wanted).is_file()), None)


def sha256_of(path: Path) -> str:
    """Hexadecimal sha256 of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def state(name: str) -> str:
    """Look at an asset's content: 'ok', 'missing' or 'altered' (another size or sha256 than pinned)."""
    path, wanted = find(name), asset(name)
    if path is None:
        return "missing"
    same = path.stat().st_size == wanted.size and sha256_of(path) == wanted.sha256
    return "ok" if same else "altered"


def verify(name: str) -> Path:
    """The checked file of an asset. Raises MissingDevice when it is not installed, BadSettings when altered."""
    found = find(name)
    if found is None:
        raise MissingDevice(f"{name} is not installed, and {asset(name).purpose}: {cure(name)}")
    if state(name) != "ok":
        raise BadSettings(f"{found} is not the pinned {name} (another sha256): remove it, then {cure(name)}")
    return found


def fetch(name: str, progress: Progress = lambda done, total: None) -> Path:
    """Download a pinned asset into the user's cache, 0600, and return its path; nothing is kept unless it is whole.

    One that is installed and whole is not fetched again. progress: called with (bytes so far, bytes in all).
    Raises MissingDevice when there is no address or it cannot be reached, BadSettings when what came is not the
    pinned file.
    """
    wanted, installed = asset(name), find(name)
    if installed is not None and state(name) == "ok":
        return installed
    if not wanted.address:
        raise MissingDevice(f"{name} cannot be downloaded as it is: {wanted.origin}")
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, partial = tempfile.mkstemp(dir=folder, prefix=f".{name}.")  # 0600 from the start
    try:
        with os.fdopen(descriptor, "wb") as out:
            found = _download(wanted, out.write, progress)
            out.flush()
            os.fsync(out.fileno())
        if found != wanted.sha256:
            raise BadSettings(f"{wanted.address} gave another file (sha256 {found[:12]}...): it was thrown away")
        os.replace(partial, folder / name)
    finally:
        Path(partial).unlink(missing_ok=True)
    return folder / name


def _download(wanted: Asset, write: Callable[[bytes], object], progress: Progress) -> str:
    """Stream the address into `write`; the sha256 of what came. Stops at the first byte too many."""
    digest, done = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(wanted.address, timeout=_PATIENCE_S) as stream:  # noqa: S310 - pinned address
            while piece := stream.read(_PIECE):
                done += len(piece)
                if done > wanted.size:
                    raise BadSettings(f"{wanted.address} sent more than {wanted.size} bytes: it was thrown away")
                digest.update(piece)
                write(piece)
                progress(done, wanted.size)
    except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
        raise MissingDevice(
            f"{wanted.name} could not be downloaded from {wanted.address} ({error}): connect to the internet, or "
            f"put the file into {cache_folder()} or the folder that ${FOLDER_VARIABLE} names"
        ) from error
    return digest.hexdigest()
