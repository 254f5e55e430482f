import pytest

from calibration.cohort_plan import CohortSettings, plan_people
from calibration.data.face_set import FaceRow
from calibration.folds import folds_of
from engines.errors import BadInput


def test_made_sets_keep_the_folds_that_were_planned():
    people = plan_people(CohortSettings(participants=14), [f"{n:03d}" for n in range(40)])
    rows = [FaceRow(person.photos[0], "cohort", person.pid, 0, person.split) for person in people]
    clips = [FaceRow(p.photos[0], "cohort", f"{p.pid}_1S_emotion_03_happy", 9, p.split) for p in people]
    wanted = {person.photos[0]: person.fold for person in people}
    assert folds_of(rows) == folds_of(clips) == folds_of([*rows, *clips]) == wanted
    of_split = {row.split: folds_of(rows)[row.person] for row in rows if row.split != "train"}
    assert of_split == {"test": 1, "validation": 2}


def test_others_are_dealt_out_by_name():
    rows = [FaceRow(f"P{n}", "mmm", "any", 0, "train") for n in (3, 1, 2, 7, 5, 6, 4, 1)]
    assert folds_of(rows) == {"P1": 0, "P2": 1, "P3": 2, "P4": 3, "P5": 4, "P6": 5, "P7": 0}


def test_a_person_in_two_folds_and_a_clip_of_nobody_are_refused():
    with pytest.raises(BadInput, match="folds 0 and 1"):
        folds_of([FaceRow("a", "cohort", "001", 0, "train"), FaceRow("a", "london", "002", 0, "test")])
    with pytest.raises(BadInput, match="no participant"):
        folds_of([FaceRow("a", "cohort", "x1", 0, "train")])
