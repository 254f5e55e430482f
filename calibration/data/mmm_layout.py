"""How MMM recordings lie on disk: clip ids, folders, index columns, channel and parameter names (FACTS 1.7).

"Mimics, Muscles, and Me" (Zenodo 16636409, CC BY-NC, one person; users download it themselves) and the synthetic
cohort share this layout, so every path and name of it is written here, once, for writer and reader.

    MMM.csv                                      one row per clip; paths relative to the folder
    MMM_3DMM.csv                                 the clips with electrodes, one path column per parameter method
    {emg,video,video_no-cut,video_noelec}/{pid}_{rec}/{id}.{csv,mp4}
    video_noelec_params/{method}/{pid}_{rec}/{id}_params.csv.gz
    id = {pid}_{rec}_{mode}_{seq}_{task}         for example 99_2S_emotion_12_happy

`rec` is the block (1, 2, ...) and S for electrodes on ("sensor") or N for none. Only the S recordings have EMG and
an electrode-free twin in video_noelec: in MMM an estimate by MC-CycleGAN, in the cohort the truth. The cohort adds
video_posed/, mask/ and truth/.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPES

INDEX, PARAMETER_INDEX, COHORT = "MMM.csv", "MMM_3DMM.csv", "cohort.json"
SIZE_PX, FPS = 286, 30
CSV, VIDEO = "csv", "mp4"

Folder = Literal["emg", "video", "video_no-cut", "video_noelec", "video_posed", "mask", "emg_raw", "truth"]
_ENDINGS: dict[Folder, str] = {
    "emg": CSV,
    "video": VIDEO,
    "video_no-cut": VIDEO,
    "video_noelec": VIDEO,
    "video_posed": VIDEO,
    "mask": "mkv",
    "emg_raw": "xdf",
    "truth": "npz",
}
PARAMETERS = "video_noelec_params"

INDEXED_FOLDERS: tuple[Folder, ...] = ("video", "video_no-cut", "emg", "video_noelec")
INDEX_COLUMNS = ("source", "index", "pid", "rec", "mode", "task", "type", "sync_grade", "use", *INDEXED_FOLDERS)
PARAMETER_INDEX_COLUMNS = ("source", "index", "pid", "rec", "mode", "task", "video_noelec", "emg")

# MMM's column names, alphabetical by muscle, each with _l before _r.
_MUSCLES = (
    *("Corrugator Supercilii", "Depressor Ang. Oris", "Depressor Supercilii Procerus", "Lateraler Frontalis"),
    *("Levator Labii Superioris", "Masseter", "Medialer Frontalis", "Mentalis", "Orbicularis Oculi"),
    *("Orbicularis Oris", "Zygomaticus"),
)
EMG_COLUMNS = tuple(f"{muscle}_{side}" for muscle in _MUSCLES for side in "lr")

# MMM's labels of a task, where they differ from FACTS 1.6. The leading dashes are in the N recordings.
_TASK_OF_LABEL = {
    "Forehead": "Forehead-Raise",
    "Nose-Pucker": "Nose-Wrinkler",
    "Cheeks": "Cheeks-Blow",
    "Inflate-Cheeks": "Cheeks-Blow",
    "-Smile-Closed": "Smile-Closed",
    "-Smile-Open": "Smile-Open",
}


_FLAME = {"identity": 300, "expression": 50, "eyelid": 2, "jaw": 3, "pose": 3, "camera": 3}
_BLENDSHAPES = {"blendshapes": len(BLENDSHAPES)}
_ICT = {**_BLENDSHAPES, "identity": 100, "pose": 3, "camera": 3}
OURS = ("E_N-occluded", "E_N-restored", "E_S-occluded", "Live")
METHODS: dict[str, dict[str, int]] = {
    "SMIRK": _FLAME,
    "EIFER": _FLAME,
    "MediaPipe": _BLENDSHAPES,
    "Truth": _BLENDSHAPES,
    **dict.fromkeys(OURS, _ICT),
}
"""Method -> group -> columns. MMM has four more (DECA, EMOCAv2, Deep3DFace, FOCUS); Truth is the cohort's own, and OURS
are what encoders of this project see (calibration/encoder_parameters.py): the rows of EIFER's Table 2, and the live
encoder."""

# How the columns' names begin, by group; a number follows.
_BEGINNINGS = {
    "identity": ("idt", "identity", "shape"),
    "expression": ("exp", "expression"),
    "eyelid": ("eyelid",),
    "jaw": ("jaw",),
    "pose": ("pose",),
    "camera": ("cam", "camera"),
}

_ID = re.compile(r"([0-9A-Za-z]+)_([1-9][NS])_(schaede|emotion)_([0-9]{2,3})_([-0-9A-Za-z]+)")


@dataclass(frozen=True, order=True)
class ClipId:
    """One clip's name, and with it its place in every folder.

    pid: letters and digits, never a number ("07" is not "7").  rec: block and N or S.  seq: the task's place in the
    recording, from 0.  label: the task as the files spell it.
    """

    pid: str
    rec: str
    mode: str
    seq: int
    label: str

    def __str__(self) -> str:
        return f"{self.pid}_{self.rec}_{self.mode}_{self.seq:02d}_{self.label}"

    @classmethod
    def parse(cls, text: str) -> ClipId:
        """The parts of an id. Raises BadInput when the text is none."""
        found = _ID.fullmatch(text)
        if found is None:
            raise BadInput(f"{text!r} is no clip id: they look like 99_2S_emotion_12_happy")
        pid, rec, mode, seq, label = found.groups()
        return cls(pid, rec, mode, int(seq), label)

    @property
    def task(self) -> str:
        """The task by its name in FACTS 1.6, whatever the files call it."""
        return _TASK_OF_LABEL.get(self.label, self.label)

    @property
    def session(self) -> str:
        """Person and recording, the folder's name: "99_2S"."""
        return f"{self.pid}_{self.rec}"

    @property
    def block(self) -> int:
        """Which of the sessions, from 1."""
        return int(self.rec[:-1])

    @property
    def electrodes(self) -> bool:
        """Whether electrodes are on the face (and EMG is there)."""
        return self.rec.endswith("S")

    def path(self, folder: Folder) -> PurePosixPath:
        """The clip's file in one of the folders, relative to the data set."""
        return PurePosixPath(folder, self.session, f"{self}.{_ENDINGS[folder]}")

    def parameters_path(self, method: str) -> PurePosixPath:
        """The clip's parameters of one method, relative to the data set."""
        return PurePosixPath(PARAMETERS, method, self.session, f"{self}_params.csv.gz")


def index_row(clip: ClipId) -> dict[str, str]:
    """The clip's row of MMM.csv, by column; what an N recording has not is empty, as in MMM."""
    has = clip.electrodes
    return {
        "source": f"{clip.session}_{clip.mode}",
        "index": str(clip),
        "pid": clip.pid,
        "rec": clip.rec,
        "mode": clip.mode,
        "task": clip.label,
        "type": "sensor" if has else "normal",
        "sync_grade": "0" if has else "-1",
        "use": "yes" if has else "no",
        "video": str(clip.path("video")),
        "video_no-cut": str(clip.path("video_no-cut")),
        "emg": str(clip.path("emg")) if has else "",
        "video_noelec": str(clip.path("video_noelec")) if has else "",
    }


def parameter_row(clip: ClipId, methods: tuple[str, ...]) -> dict[str, str]:
    """The clip's row of MMM_3DMM.csv, by column."""
    row = index_row(clip)
    return {name: row[name] for name in PARAMETER_INDEX_COLUMNS} | {
        method: str(clip.parameters_path(method)) for method in methods
    }


def column_groups(method: str, names: Sequence[str]) -> dict[str, list[int]]:
    """Which columns of a parameter file make each group, in the group's own order, by the columns' names.

    Blendshapes come out in the order of engines/face/blendshapes.py.  Raises BadInput naming what is missing or
    unknown.
    """
    groups = METHODS[method]
    found = {group: _columns(group, names) for group in groups}
    known = {i for columns in found.values() for i in columns}
    if unknown := [name for i, name in enumerate(names) if i not in known]:
        raise BadInput(f"{method} has no column {unknown[0]!r} ({len(unknown)} of {len(names)} are not understood)")
    for group, columns in groups.items():
        if len(found[group]) != columns:
            raise BadInput(f"{method} needs {columns} columns of {group}, found {len(found[group])}")
    return found


def column_names(method: str) -> list[str]:
    """The columns of a method's file as this project writes them, every group in its order."""
    names: list[str] = []
    for group, count in METHODS[method].items():
        numbered = (f"{_BEGINNINGS[group][0]}_{i}" for i in range(count)) if group in _BEGINNINGS else BLENDSHAPES
        names += numbered
    return names


def _columns(group: str, names: Sequence[str]) -> list[int]:
    if group == "blendshapes":
        place = {name: i for i, name in enumerate(names)}
        return [place[name] for name in BLENDSHAPES if name in place]
    return [i for i, name in enumerate(names) if _stem(name) in _BEGINNINGS[group]]


def _stem(name: str) -> str:
    """A column's name without its number: "exp_07" -> "exp"."""
    return re.sub(r"[^a-z]*[0-9]*$", "", name.lower())
