"""What face encoders see in recordings, as parameter files in MMM's layout: so that EMG networks learn from it.

    video_noelec_params/{method}/{pid}_{rec}/{id}_params.csv.gz      52 blendshapes, 100 identity, 3 pose, 3 camera
    video_noelec_params/{method}/encoder.json                        which bundles saw it
    MMM_3DMM.csv                                                     gets a column per method

EIFER's Table 2 compares what E^N sees under electrodes, what it sees where electrodes were removed, and what E^S sees
under them.  All clips with electrodes are read, each followed once, as the live picture is.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.cohort_tables import index_bytes
from calibration.data.mmm import Clip, Recordings
from calibration.data.mmm_layout import (
    METHODS,
    OURS,
    PARAMETER_INDEX,
    PARAMETER_INDEX_COLUMNS,
    PARAMETERS,
    column_names,
    parameter_row,
)
from calibration.encoder_bundle import NETWORK
from calibration.planes import resized
from calibration.restoration_clips import Follower, crop_of
from engines.bundle import Manifest
from engines.emg.montage import FRIDLUND
from engines.errors import BadInput, BundleError
from engines.face.restorer import Restorer, fitting
from engines.loading import load
from engines.model import Model
from engines.spec import Engine
from rt.recording.disk import write_atomically

Floats = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]

ABOUT = "encoder.json"
_GROUPS = {"blendshapes": "expression", "identity": "shape", "pose": "pose", "camera": "camera"}


@dataclass(frozen=True)
class Seeing:
    """One method.  method: one of OURS.  encoder, restorer: bundles; without a restorer electrodes stay."""

    method: str
    encoder: Path
    restorer: Path | None = None

    @classmethod
    def parse(cls, words: str) -> Seeing:
        """E_N-restored=ENCODER+RESTORER, or E_S-occluded=ENCODER.  Raises BadInput."""
        method, equals, bundles = words.partition("=")
        encoder, plus, restorer = bundles.partition("+")
        if not equals or not encoder or (plus and not restorer):
            raise BadInput(f"say what is to be written as METHOD=ENCODER or METHOD=ENCODER+RESTORER, found {words!r}")
        if method not in OURS:
            raise BadInput(f"the methods of this project are {', '.join(OURS)}, found {method!r}")
        return cls(method, Path(encoder), Path(restorer) if restorer else None)


@dataclass(frozen=True)
class Written:
    """How it went."""

    clips: int  # written now
    there: int  # written before
    frames: int
    lost: int  # frames without a face, in which the crop stood still


def once_each(seeings: Sequence[Seeing]) -> None:
    """Raises BadInput when a method is asked for twice, or none."""
    if len({seeing.method for seeing in seeings}) < len(seeings) or not seeings:
        raise BadInput("name each method once, and one at least")


class Eye:
    """One method's networks, open."""

    def __init__(self, seeing: Seeing, stack: ExitStack, backend: str | None, precision: str | None) -> None:
        """stack: closes the engines.  backend, precision: as `engines.load` takes them.  Raises BundleError."""

        def opened(path: Path) -> tuple[Manifest, Engine, str]:
            model = Model.read(path)
            engine = load(model, backend=backend, precision=precision)
            stack.callback(engine.close)
            return model.bundle.manifest, engine, model.name

        manifest, self._engine, name = opened(seeing.encoder)
        self.method = seeing.method
        self._size = _checked(manifest, name)
        self.about = {"encoder": {"name": name, "sha256": manifest.sha256}, "precision": self._engine.precision}
        self._restorer: Restorer | None = None
        self.size = self._size
        if seeing.restorer is not None:
            its, engine, its_name = opened(seeing.restorer)
            self.size = max(self._size, fitting(its, its_name, "", FRIDLUND.name).size)
            self._restorer = Restorer(engine)
            self.about["restorer"] = {"name": its_name, "sha256": its.sha256}

    def row(self, crop: Picture) -> Floats:
        """(158,) of one square crop, (side, side, 3) uint8 BGR: 52 blendshapes first."""
        if self._restorer is not None:
            crop = self._restorer.run(np.ascontiguousarray(resized(crop, self._restorer.size)))[0]
        found = self._engine.run({"face": np.ascontiguousarray(resized(crop, self._size))})
        return np.concatenate([found[_GROUPS[group]] for group in METHODS[self.method]])


def write_parameters(
    recordings: Recordings,
    seeings: Sequence[Seeing],
    landmarker: Path,
    force: bool = False,
    backend: str | None = None,
    precision: str | None = None,
    done: Callable[[], None] = lambda: None,
) -> Written:
    """Write the files of all clips with electrodes, then the index; what is there already from these bundles stays.

    landmarker: MediaPipe's model.  force: replace what other bundles have seen.  backend, precision: as `engines.load`
    takes them.  done: called after every clip.
    Raises BadInput when other bundles' files are there, a method is asked for twice, a clip shows no face at all or
    there are none; BundleError; OSError and DataLost where nothing can be written.
    """
    clips = recordings.select(electrodes=True)
    if not clips:
        raise BadInput(f"{recordings.folder} has no clips with electrodes: there is nothing to read")
    once_each(seeings)
    with ExitStack() as stack:
        eyes = [Eye(seeing, stack, backend, precision) for seeing in seeings]
        for eye in eyes:
            _claim(recordings.folder / PARAMETERS / eye.method, eye.about, force)
        made = there = frames = lost = 0
        for clip in clips:
            missing = [eye for eye in eyes if not _file(clip, eye.method).is_file()]
            if missing:
                count, without = _of_clip(clip, missing, landmarker)
                made, frames, lost = made + 1, frames + count, lost + without
            else:
                there += 1
            done()
    _write_index(recordings, clips, [eye.method for eye in eyes])
    return Written(made, there, frames, lost)


def _of_clip(clip: Clip, eyes: Sequence[Eye], landmarker: Path) -> tuple[int, int]:
    """Returns how many frames there are, and in how many no face was found."""
    rows: dict[str, list[Floats]] = {eye.method: [] for eye in eyes}
    lost = 0
    for crop, followed in _crops(clip, max(eye.size for eye in eyes), landmarker):
        lost += not followed
        for eye in eyes:
            rows[eye.method].append(eye.row(crop))
    for method, values in rows.items():
        _write_table(_file(clip, method), method, np.stack(values))
    return len(next(iter(rows.values()))), lost


def _crops(clip: Clip, size: int, landmarker: Path) -> Iterator[tuple[Picture, bool]]:
    """Every frame's crop, and whether a face was found: where none is, the crop stands still."""
    waiting: list[Picture] = []
    place = None
    with Follower(size, landmarker) as follower:
        for number, frame in enumerate(clip.pictures()):
            found = follower.find(frame, number)
            if found is None and place is None:
                waiting.append(frame)
                continue
            place = found[0] if found is not None else place
            assert place is not None  # one of the two is there
            for early in waiting:
                yield crop_of(early, place, size), False
            waiting.clear()
            yield crop_of(frame, place, size), found is not None
    if place is None:
        raise BadInput(f"no face can be followed in {clip.id}: leave the clip out of the index")


def _checked(manifest: Manifest, name: str) -> int:
    """px that an encoder sees.  Raises BundleError when it does not say what the files hold."""
    wanted = {_GROUPS[group]: count for group, count in METHODS[OURS[0]].items()}
    said = {spec.name: spec.shape[0] for spec in manifest.outputs if spec.shape and spec.name in wanted}
    if manifest.network != NETWORK or said != wanted:
        raise BundleError(f"the bundle {name} is no face encoder of {wanted}, it gives {said}: choose another one")
    shape = manifest.inputs[0].shape
    assert shape is not None  # EncoderNetwork has seen to it
    return shape[0]


def _file(clip: Clip, method: str) -> Path:
    return clip.folder / clip.id.parameters_path(method)


def _claim(folder: Path, about: Mapping[str, Any], force: bool) -> None:
    """Say whose files these are.  What other bundles have seen is in the way, or, with force, goes away."""
    path = folder / ABOUT
    try:
        known = json.loads(path.read_text()) if path.is_file() else None
    except ValueError:
        known = {}
    if known != about and folder.exists():
        if not force:
            raise BadInput(f"{folder} holds what other bundles have seen: --force replaces it")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(path, (json.dumps(about, indent=1) + "\n").encode())


def _write_table(path: Path, method: str, values: Floats) -> None:
    """Packed, with named columns, one row per frame; the same values give the same bytes."""
    lines = [",".join(column_names(method)), *(",".join(f"{value:.5f}" for value in row) for row in values)]
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as file:
        file.write(("\n".join(lines) + "\n").encode())
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(path, packed.getvalue())


def _write_index(recordings: Recordings, clips: Sequence[Clip], methods: Sequence[str]) -> None:
    """Add the methods' columns; rows and columns that are there stay."""
    path = recordings.folder / PARAMETER_INDEX
    columns, rows = [*PARAMETER_INDEX_COLUMNS], {}
    if path.is_file():
        with path.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            rows = {row["index"]: row for row in reader}
            columns = list(reader.fieldnames or columns)
    columns += [method for method in methods if method not in columns]
    for clip in clips:
        own = parameter_row(clip.id, tuple(methods))
        rows[str(clip.id)] = {**own, **rows.get(str(clip.id), {}), **{method: own[method] for method in methods}}
    write_atomically(path, index_bytes(columns, [dict.fromkeys(columns, "") | row for row in rows.values()]))
