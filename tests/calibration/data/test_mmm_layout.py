import csv

import pytest

from calibration.data.mmm_layout import (
    EMG_COLUMNS,
    INDEX_COLUMNS,
    METHODS,
    PARAMETER_INDEX_COLUMNS,
    ClipId,
    column_groups,
    column_names,
    index_row,
    parameter_row,
)
from engines.emg.montage import FRIDLUND
from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPES


@pytest.mark.parametrize(
    "text", ["99_2S_emotion_12_happy", "007_1N_schaede_04_-Smile-Closed", "A1_9S_schaede_110_Snarl"]
)
def test_an_id_comes_back_as_it_was(text):
    clip = ClipId.parse(text)
    assert str(clip) == text
    assert str(clip.path("video")) == f"video/{clip.session}/{text}.mp4"


@pytest.mark.parametrize(
    "text",
    [
        *("", "99_2S_emotion_12", "99_2X_emotion_12_happy", "99_0S_emotion_12_happy", "99_2S_mood_12_happy"),
        *("99_2S_emotion_1_happy", "../_2S_emotion_12_happy", "99_2S_emotion_12_a/b", "99_2S_emotion_12_happy.csv"),
    ],
)
def test_what_is_no_id_is_refused(text):
    with pytest.raises(BadInput, match="is no clip id"):
        ClipId.parse(text)


def test_the_parts_of_an_id_mean_what_the_data_set_says():
    clip = ClipId.parse("099_2S_emotion_12_happy")
    assert (clip.pid, clip.block, clip.electrodes, clip.seq) == ("099", 2, True, 12)
    assert not ClipId.parse("99_1N_schaede_00_Face-At-Rest").electrodes


def test_differing_labels_are_one_task():
    labels = {"Forehead": "Forehead-Raise", "Nose-Pucker": "Nose-Wrinkler", "Inflate-Cheeks": "Cheeks-Blow"}
    labels |= {"Cheeks": "Cheeks-Blow", "-Smile-Open": "Smile-Open", "Snarl": "Snarl"}
    assert {label: ClipId("1", "1N", "schaede", 0, label).task for label in labels} == labels


def test_emg_columns_are_the_22_channels_in_the_data_sets_order():
    assert len(EMG_COLUMNS) == 22
    assert [name[:-2] for name in EMG_COLUMNS] == sorted(name[:-2] for name in EMG_COLUMNS)
    assert [name[-1] for name in EMG_COLUMNS] == list("lr") * 11
    assert sorted(FRIDLUND.index_of(EMG_COLUMNS)) == list(range(22))


def test_a_recording_without_electrodes_has_no_emg():
    row = index_row(ClipId("007", "1N", "emotion", 3, "sad"))
    assert tuple(row) == INDEX_COLUMNS
    assert (row["emg"], row["video_noelec"], row["type"], row["use"]) == ("", "", "normal", "no")
    assert row["video"] == "video/007_1N/007_1N_emotion_03_sad.mp4"


def test_a_recording_with_electrodes_names_its_parameters():
    clip = ClipId("007", "1S", "emotion", 3, "sad")
    assert index_row(clip)["emg"] == "emg/007_1S/007_1S_emotion_03_sad.csv"
    row = parameter_row(clip, ("Truth",))
    assert tuple(row) == (*PARAMETER_INDEX_COLUMNS, "Truth")
    assert row["Truth"] == "video_noelec_params/Truth/007_1S/007_1S_emotion_03_sad_params.csv.gz"


def flame_names(prefixes=("idt", "exp", "eyelid", "jaw", "pose", "cam")):
    return [f"{p}_{i}" for p, n in zip(prefixes, METHODS["SMIRK"].values(), strict=True) for i in range(n)]


def test_flame_columns_are_found_by_name_wherever_they_stand():
    names = flame_names()
    groups = column_groups("SMIRK", names)
    assert {name: len(columns) for name, columns in groups.items()} == METHODS["SMIRK"]
    assert groups["expression"] == list(range(300, 350))
    backwards = column_groups("EIFER", names[::-1])
    assert backwards["camera"] == [0, 1, 2]


def test_our_encoders_columns_are_found_as_they_are_written():
    names = column_names("E_S-occluded")
    assert len(names) == len(set(names)) == 52 + 100 + 3 + 3
    groups = column_groups("E_S-occluded", names[::-1])
    assert {name: len(columns) for name, columns in groups.items()} == METHODS["E_S-occluded"]
    assert [names[::-1][i] for i in groups["blendshapes"]] == list(BLENDSHAPES)
    assert names[::-1][groups["camera"][0]] == "cam_2"
    with pytest.raises(BadInput, match="identity"):
        column_groups("Live", names[:150])


def test_blendshapes_come_in_mediapipes_order():
    names = sorted(BLENDSHAPES)
    (columns,) = column_groups("MediaPipe", names).values()
    assert [names[i] for i in columns] == list(BLENDSHAPES)


@pytest.mark.parametrize(
    ("method", "names", "said"),
    [
        ("SMIRK", [*flame_names(), "gamma_0"], "'gamma_0'"),
        ("SMIRK", flame_names()[:-1], "3 columns of camera, found 2"),
        ("MediaPipe", [*BLENDSHAPES, "tongueOut"], "'tongueOut'"),
        ("MediaPipe", BLENDSHAPES[1:], "52 columns of blendshapes, found 51"),
        ("MediaPipe", [*BLENDSHAPES, "jawOpen"], "jawOpen"),
    ],
)
def test_unknown_and_missing_columns_are_named(method, names, said):
    with pytest.raises(BadInput, match=said):
        column_groups(method, names)


def test_rows_fit_a_csv_writer(tmp_path):
    row = index_row(ClipId("007", "1S", "schaede", 0, "Face-At-Rest"))
    with (tmp_path / "MMM.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, INDEX_COLUMNS)
        writer.writeheader()
        writer.writerow(row)
    with (tmp_path / "MMM.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [row]
