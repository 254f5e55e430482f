"""The folder that a session leaves: who may read it, what may be written into it, and whether it is still the same.

    {data}/{subject}_{YYYYmmdd-HHMMSS}/     0700
        session.json        settings, versions, hashes, consent, ledger; replaced atomically
        signals.xdf         raw EMG, envelopes, parameters, events, one row per video frame
        video_0001.mkv ...  one more segment whenever the recorder (re)starts
        repaired/           bytes that `repair` cut off, where there were any
        manifest.sha256     written last; `sha256sum -c manifest.sha256` checks it too

The state in session.json goes recording -> closed, or recording -> repaired.
"""

import json
import math
import re
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Self

from rt import clock
from rt.errors import BadRecording, BadSettings, DataLost
from rt.recording.disk import hash_file, sync_folder, write_atomically

FORMAT = "myomirror-session"
VERSION = 1
SCOPES = ("emg", "video", "training", "sharing")
SESSION = "session.json"
SIGNALS = "signals.xdf"
MANIFEST = "manifest.sha256"
REPORT = "report.html"  # made from the others at any time, so it is not in the manifest

_SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_VIDEO = re.compile(r"video_(\d{4})\.mkv")
_MAX_SESSION_BYTES = 16 << 20


def check_subject(subject: str) -> str:
    """A subject's pseudonym: 1 to 32 of A-Z a-z 0-9 _ -, beginning with a letter or digit. Raises BadSettings."""
    if not _SUBJECT.fullmatch(subject):
        raise BadSettings(
            f"subject {subject!r} is no pseudonym; use 1 to 32 letters, digits, '_' or '-' (no spaces, no names)"
        )
    return subject


def check_consent(scopes: Collection[str]) -> tuple[str, ...]:
    """Consent as a tuple in the order of SCOPES. Raises BadSettings for an unknown scope."""
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown:
        raise BadSettings(f"unknown consent scope {unknown[0]!r}; known: {', '.join(SCOPES)}")
    return tuple(scope for scope in SCOPES if scope in scopes)


class SessionFolder:
    """One recording on disk. `create` makes it, `open` finds it again (also after a crash)."""

    def __init__(self, path: Path, info: dict[str, Any]) -> None:
        """Use `create` or `open`."""
        self.path = path
        self.info = info

    @classmethod
    def create(
        cls,
        data: Path,
        subject: str,
        consent: Collection[str],
        *,
        settings: Mapping[str, Any] | None = None,
        versions: Mapping[str, str] | None = None,
        hashes: Mapping[str, str] | None = None,
        synthetic: bool = False,
    ) -> Self:
        """Make a new folder (0700) in the data folder, with its session.json in state 'recording'.

        consent: which of SCOPES the subject agreed to. synthetic: whether anything in it is not from a real person.
        Raises BadSettings for a subject that is no pseudonym, an unknown scope, or a data folder that cannot be used.
        """
        check_subject(subject)
        scopes = check_consent(consent)
        path = _make_folder(data, f"{subject}_{clock.wall_text()}")
        info = {
            "format": FORMAT,
            "version": VERSION,
            "state": "recording",
            "subject": subject,
            "synthetic": synthetic,
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "clock": {"monotonic_s": clock.now(), "unix_s": time.time()},
            "consent": list(scopes),
            "settings": dict(settings or {}),
            "versions": dict(versions or {}),
            "hashes": dict(hashes or {}),
            "ledger": None,
            "report": None,
            "repairs": [],
        }
        folder = cls(path, info)
        try:
            folder.update()
        except DataLost as error:
            path.rmdir()
            raise BadSettings(f"nothing can be recorded: {error}") from error
        return folder

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an existing recording. Raises BadRecording with one sentence when the folder is none."""
        if not path.is_dir():
            raise BadRecording(f"{path} is no folder; give the folder that holds {SESSION}")
        path = path.resolve()
        return cls(path, _read_session(path))

    def update(self, **fields: Any) -> None:
        """Change fields of session.json, atomically; numbers that are not finite become null."""
        self.info.update(fields)
        text = json.dumps(_finite(self.info), indent=1, ensure_ascii=False, allow_nan=False)
        write_atomically(self.path / SESSION, text.encode())

    def allows(self, scope: str) -> bool:
        """Whether the subject agreed to a scope."""
        return scope in self.info["consent"]

    @property
    def signals(self) -> Path:
        """Where the signals are (they need not exist yet). Raises BadRecording when it is a link."""
        return self._inside(SIGNALS)

    def videos(self) -> list[Path]:
        """The video segments, in order."""
        return sorted(self._inside(path.name) for path in self.path.iterdir() if _VIDEO.fullmatch(path.name))

    def next_video(self) -> tuple[int, Path]:
        """Number and path of the next segment to write, from 1."""
        numbers = [int(path.stem.removeprefix("video_")) for path in self.videos()]
        number = max(numbers, default=0) + 1
        return number, self.path / f"video_{number:04d}.mkv"

    def close(
        self,
        *,
        state: str = "closed",
        ledger: Mapping[str, Any] | None = None,
        report: Mapping[str, Any] | None = None,
        digests: Mapping[str, str] | None = None,
    ) -> None:
        """Write the ledger and the report into session.json, then the manifest; call it after the recorder ended.

        digests: SHA-256 by file name where the recorder knows it already (its fact `sha256`), to save reading the file.
        """
        fields = {"ledger": ledger, "report": report}
        self.update(state=state, **{name: dict(value) for name, value in fields.items() if value is not None})
        self.write_manifest(digests or {})

    def write_manifest(self, known: Mapping[str, str]) -> None:
        """Write the SHA-256 of every file. known: digests that the writers have already, by file name."""
        names = sorted(self._files())
        lines = "".join(f"{known.get(name) or hash_file(self.path / name)}  {name}\n" for name in names)
        write_atomically(self.path / MANIFEST, lines.encode())

    def verify(self) -> list[str]:
        """Compare every file with the manifest; one sentence for each that is missing, altered or not in it.

        Raises BadRecording when there is no manifest.
        """
        manifest = self._inside(MANIFEST)
        if not manifest.is_file():
            raise BadRecording(f"{self.path.name} has no {MANIFEST}: it was not closed; run repair")
        expected = _read_manifest(manifest)
        present = self._files()
        problems = [f"{name} is missing" for name in sorted(expected.keys() - present)]
        problems += [f"{name} is not in the manifest" for name in sorted(present - expected.keys())]
        for name in sorted(present & expected.keys()):
            if hash_file(self.path / name) != expected[name]:
                problems.append(f"{name} was altered")
        return problems

    def _files(self) -> set[str]:
        """Names of all files, relative to the folder, but manifest, report, links and unfinished files."""
        files = (path for path in self.path.rglob("*") if path.is_file() and not path.is_symlink())
        names = {str(path.relative_to(self.path)) for path in files if not path.name.startswith(".")}
        return names - {MANIFEST, REPORT}

    def _inside(self, name: str) -> Path:
        """A file of this folder. Raises BadRecording when the name is a link, which could lead anywhere."""
        path = self.path / name
        if path.is_symlink():
            raise BadRecording(f"{path} is a link; a recording holds its own files only")
        return path


def _make_folder(data: Path, name: str) -> Path:
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = data.resolve(strict=True)
        for suffix in ["", *(f"-{number}" for number in range(2, 100))]:  # two sessions in one second
            path = data / (name + suffix)
            if not path.exists() and not path.is_symlink():
                path.mkdir(mode=0o700)
                sync_folder(data)
                return path
    except OSError as error:
        raise BadSettings(f"cannot record into {data}: {error.strerror}; choose another --out folder") from None
    raise BadSettings(f"{data} holds 99 recordings of this very second already")


def _read_session(path: Path) -> dict[str, Any]:
    file = path / SESSION
    if file.is_symlink() or not file.is_file():
        raise BadRecording(f"{path} is no recording: it holds no {SESSION}")
    if file.stat().st_size > _MAX_SESSION_BYTES:
        raise BadRecording(f"{file} is larger than {_MAX_SESSION_BYTES >> 20} MB; it was not written by a session")
    try:
        info = json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        raise BadRecording(f"{file} is not JSON; it was not written by a session") from None
    if not isinstance(info, dict) or info.get("format") != FORMAT:
        raise BadRecording(f"{file} does not say 'format: {FORMAT}'; it was not written by a session")
    if info.get("version") != VERSION:
        raise BadRecording(f"{file} has version {info.get('version')}; this program reads version {VERSION}")
    if not isinstance(info.get("consent"), list):
        raise BadRecording(f"{file} names no consent; it is incomplete")
    return info


def _read_manifest(manifest: Path) -> dict[str, str]:
    digests = {}
    for line in manifest.read_text().splitlines():
        digest, _, name = line.partition("  ")
        if not re.fullmatch(r"[0-9a-f]{64}", digest) or not name:
            raise BadRecording(f"{manifest} holds a line that is no SHA-256 and file name: {line[:80]!r}")
        digests[name] = digest
    return digests


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value
