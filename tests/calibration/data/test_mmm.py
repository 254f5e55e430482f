"""A folder as Zenodo's: two sessions of one person, 12 frames a clip, with the oddities that its README tells."""

import csv
import gzip
import json
import shutil

import numpy as np
import pytest

from calibration.data.clip_video import ClipWriter
from calibration.data.mmm import Recordings
from calibration.data.mmm_layout import EMG_COLUMNS, METHODS, ClipId, index_row, parameter_row
from engines.emg.montage import FRIDLUND
from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPES

FRAMES, SIZE = 12, (32, 32)
CLIPS = [
    ClipId("099", "1N", "schaede", 4, "-Smile-Closed"),
    ClipId("099", "1S", "schaede", 4, "Smile-Closed"),
    ClipId("099", "1N", "emotion", 0, "sad"),
    ClipId("099", "1N", "emotion", 1, "happy"),
    ClipId("099", "1N", "emotion", 2, "happy"),
    ClipId("099", "1S", "emotion", 0, "happy"),
    ClipId("099", "1S", "emotion", 1, "sad"),
    ClipId("099", "1S", "emotion", 2, "happy"),
]
FLAME = [
    f"{name}_{i}"
    for name, n in zip(("idt", "exp", "eyelid", "jaw", "pose", "cam"), METHODS["SMIRK"].values(), strict=True)
    for i in range(n)
]


def write_video(path, frames=FRAMES, fps=30):
    path.parent.mkdir(parents=True, exist_ok=True)
    with ClipWriter(path, SIZE, fps) as video:
        for n in range(frames):
            video.write(np.full((*SIZE, 3), 12 * n, np.uint8))


def write_table(path, header, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt", newline="") as lines:
        csv.writer(lines).writerows([header, *values])


def write_index(path, rows):
    with path.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def emg_of(column):
    """Column i of MMM's order is i + a tenth of the frame; one value rings below zero."""
    values = np.arange(FRAMES) / 10 + column
    values[-1] = -0.5
    return values


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mmm")
    for clip in CLIPS:
        for kind in ("video", "video_no-cut", *(("video_noelec",) if clip.electrodes else ())):
            write_video(folder / clip.path(kind), FRAMES + 5 * (kind == "video_no-cut"))
        if not clip.electrodes:
            continue
        emg = np.column_stack([np.arange(FRAMES), *(emg_of(c) for c in range(22))])
        write_table(folder / clip.path("emg"), ["", *EMG_COLUMNS], emg.tolist())
        flame = np.arange(361.0)[None] + np.arange(FRAMES)[:, None] / 100
        write_table(folder / clip.parameters_path("SMIRK"), FLAME, flame.tolist())
        shapes = np.tile(np.arange(52.0), (FRAMES, 1))
        write_table(folder / clip.parameters_path("MediaPipe"), BLENDSHAPES, shapes.tolist())
    write_index(folder / "MMM.csv", [index_row(clip) for clip in CLIPS])
    rows = [parameter_row(clip, ("SMIRK", "MediaPipe")) | {"DECA": "not/read.csv"} for clip in CLIPS if clip.electrodes]
    write_index(folder / "MMM_3DMM.csv", rows)
    return folder


@pytest.fixture
def mmm(made, tmp_path):
    """A copy that may be spoilt."""
    return shutil.copytree(made, tmp_path / "mmm")


def smile(folder):
    return next(c for c in Recordings.open(folder).select(electrodes=True) if c.id.task == "Smile-Closed")


def test_everything_is_found(made):
    recordings = Recordings.open(made)
    assert recordings.people == ("099",)
    assert not recordings.synthetic
    assert [clip.id for clip in recordings.clips] == CLIPS
    assert {clip.id.label for clip in recordings.select(tasks=["Smile-Closed"])} == {"Smile-Closed", "-Smile-Closed"}
    assert len(recordings.select(people=["099"], electrodes=False)) == 4


def test_pictures_come_in_order(made):
    clip = smile(made)
    assert clip.video == (FRAMES, 30.0, SIZE)
    levels = [picture.mean() for picture in clip.pictures()]
    np.testing.assert_allclose(levels, 12.0 * np.arange(FRAMES), atol=4)
    assert len(list(clip.pictures("video_no-cut"))) == FRAMES + 5


def test_emg_comes_in_fridlund_order_by_name(made):
    envelope_uv = smile(made).emg_uv()
    assert envelope_uv.shape == (FRAMES, 22)
    assert envelope_uv.dtype == np.float32
    for column, name in enumerate(EMG_COLUMNS):
        np.testing.assert_allclose(envelope_uv[:, FRIDLUND.column(name)], np.maximum(emg_of(column), 0), rtol=1e-6)


def test_emg_columns_may_stand_anywhere(mmm):
    clip = smile(mmm)
    before = clip.emg_uv()
    order = np.random.default_rng(0).permutation(22)
    values = [[n, *(emg_of(c)[n] for c in order)] for n in range(FRAMES)]
    write_table(clip.file("emg"), ["", *(EMG_COLUMNS[c] for c in order)], values)
    np.testing.assert_allclose(clip.emg_uv(), before)


def test_parameters_come_by_group(made):
    clip = smile(made)
    groups = clip.parameters("SMIRK")
    assert {name: values.shape for name, values in groups.items()} == {
        name: (FRAMES, n) for name, n in METHODS["SMIRK"].items()
    }
    np.testing.assert_allclose(groups["jaw"][3], [352.03, 353.03, 354.03], rtol=1e-6)
    np.testing.assert_array_equal(clip.parameters("MediaPipe")["blendshapes"][0], np.arange(52))


def test_sessions_are_matched_by_sequence_and_emotions_by_turn(made):
    recordings = Recordings.open(made)
    pairs = {str(c.id): recordings.without_electrodes(c) for c in recordings.select(electrodes=True)}
    assert {name: str(pair.id) for name, pair in pairs.items()} == {
        "099_1S_schaede_04_Smile-Closed": "099_1N_schaede_04_-Smile-Closed",
        "099_1S_emotion_00_happy": "099_1N_emotion_01_happy",
        "099_1S_emotion_01_sad": "099_1N_emotion_00_sad",
        "099_1S_emotion_02_happy": "099_1N_emotion_02_happy",
    }


def test_a_clip_without_a_partner_has_none(mmm):
    write_index(mmm / "MMM.csv", [index_row(clip) for clip in CLIPS[1:3] + CLIPS[5:]])
    recordings = Recordings.open(mmm)
    assert [recordings.without_electrodes(c) is None for c in recordings.clips if c.id.electrodes] == [
        True,
        True,
        False,
        True,
    ]


def test_people_stay_text(mmm):
    """What a spreadsheet does to 099 is noticed."""
    rows = [index_row(clip) | {"pid": "99"} for clip in CLIPS]
    write_index(mmm / "MMM.csv", rows)
    with pytest.raises(BadInput, match="write `pid` as text"):
        Recordings.open(mmm)


# ---------------------------------------------------------------------- refused


def spoil_index(folder, **changes):
    write_index(folder / "MMM.csv", [index_row(CLIPS[1]) | changes])


SPOILT = {
    "no index": (lambda f: (f / "MMM.csv").unlink(), "no folder of MMM recordings.*no MMM.csv"),
    "empty index": (lambda f: (f / "MMM.csv").write_text(",".join(index_row(CLIPS[0]))), "names no clips"),
    "column missing": (lambda f: (f / "MMM.csv").write_text("index,pid\na,b\n"), "no column source.*found index, pid"),
    "file missing": (lambda f: (f / CLIPS[1].path("emg")).unlink(), r"1 of the \d+ files .*emg/099_1S"),
    "parameters missing": (lambda f: (f / CLIPS[1].parameters_path("SMIRK")).unlink(), "files .*are missing"),
    "no clip id": (lambda f: spoil_index(f, index="smile"), "'smile' is no clip id"),
    "outside": (lambda f: spoil_index(f, video="../../etc/passwd"), "outside the folder"),
    "cohort cut": (lambda f: (f / "cohort.json").write_text("{"), "is no JSON"),
    "cohort unfinished": (lambda f: (f / "cohort.json").write_text('{"complete": false}'), "not finished"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_folder_is_refused_in_one_sentence(mmm, name):
    spoil, said = SPOILT[name]
    spoil(mmm)
    with pytest.raises(BadInput, match=said) as caught:
        Recordings.open(mmm)
    assert "\n" not in str(caught.value)


def rewrite_emg(folder, header=("", *EMG_COLUMNS), rows=FRAMES):
    values = [[n, *range(len(header) - 1)] for n in range(rows)]
    write_table(folder / CLIPS[1].path("emg"), header, values)


WRONG_EMG = {
    "unknown channel": (lambda f: rewrite_emg(f, ("", *EMG_COLUMNS[:-1], "Biceps_r")), "Biceps_r"),
    "missing channel": (lambda f: rewrite_emg(f, ("", *EMG_COLUMNS[:-1])), "missing F19"),
    "doubled channel": (lambda f: rewrite_emg(f, ("", *EMG_COLUMNS, "Masseter_l")), "comes twice"),
    "half the rate": (lambda f: rewrite_emg(f, rows=FRAMES // 2), "6 rows for a video of 12 frames .15 per second"),
    "raw rate": (lambda f: rewrite_emg(f, rows=1638), "4095 per second instead of 30"),
    "no numbers": (lambda f: (f / CLIPS[1].path("emg")).write_text("a,b\nc,d\n"), "no table of numbers"),
    "ragged": (lambda f: (f / CLIPS[1].path("emg")).write_text("a,b\n1,2\n1\n"), "no table of numbers"),
    "empty": (lambda f: (f / CLIPS[1].path("emg")).write_text(""), "no table of numbers"),
    "video rate": (lambda f: write_video(f / CLIPS[1].path("video"), fps=25), "25 frames per second"),
    "no video": (lambda f: (f / CLIPS[1].path("video")).write_text("x"), "not a readable video"),
}


@pytest.mark.parametrize("name", WRONG_EMG)
def test_wrong_emg_is_refused_in_one_sentence(mmm, name):
    spoil, said = WRONG_EMG[name]
    spoil(mmm)
    with pytest.raises(BadInput, match=said) as caught:
        smile(mmm).emg_uv()
    assert "\n" not in str(caught.value)


def test_wrong_parameters_are_refused(mmm):
    clip = smile(mmm)
    path = clip.parameter_files["SMIRK"]
    write_table(path, [*FLAME[:-1], "gamma_0"], np.zeros((FRAMES, 361)).tolist())
    with pytest.raises(BadInput, match=f"{path.name}.*'gamma_0'"):
        clip.parameters("SMIRK")
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(BadInput, match="no table of numbers"):
        clip.parameters("SMIRK")
    with pytest.raises(BadInput, match="no parameters of 'EIFER': it has MediaPipe, SMIRK"):
        clip.parameters("EIFER")


def test_what_a_clip_does_not_have_is_named(made):
    clip = Recordings.open(made).clips[0]
    with pytest.raises(BadInput, match="has no emg/"):
        clip.emg_uv()
    with pytest.raises(BadInput, match="has no truth/"):
        clip.truth()
    assert clip.has("video")
    assert not clip.has("mask")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"people": ["99"]}, "no person '99': it has 099"),
        ({"tasks": ["Wink"]}, "no task 'Wink'"),
        ({"split": "test"}, "no split"),
    ],
)
def test_what_nobody_did_is_refused(made, wanted, said):
    with pytest.raises(BadInput, match=said):
        Recordings.open(made).select(**wanted)


def test_splits_come_from_the_cohort(mmm):
    (mmm / "cohort.json").write_text(json.dumps({"complete": True, "splits": {"train": ["099"], "test": []}}))
    recordings = Recordings.open(mmm)
    assert recordings.synthetic
    assert len(recordings.select(split="train")) == len(CLIPS)
    assert recordings.select(split="test") == ()
    with pytest.raises(BadInput, match="it has train, test"):
        recordings.select(split="validation")
