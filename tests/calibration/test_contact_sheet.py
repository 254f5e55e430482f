import cv2
import numpy as np
import pytest

from calibration.cohort import plan_cohort
from calibration.cohort_plan import CohortSettings, plan_people
from calibration.contact_sheet import Cell, apex_of, draw_contact_sheet, lay_out
from engines.emg.montage import FRIDLUND
from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPE_INDEX


def cell(level, percent=0.0):
    """Four plain pictures, told apart by their grey."""
    plain = np.full((286, 286, 3), level, np.uint8)
    grey = np.full((286, 286), level, np.uint8)
    envelope = np.full((90, 22), percent, np.float32)
    return Cell(plain, plain + 10, grey + 20, grey + 30, envelope, np.ones((90, 22), bool), 45)


def sheet_of(cells):
    people = plan_people(CohortSettings(participants=len(cells)), [f"{n:03d}" for n in range(30)])
    return lay_out(people, ["Snarl", "happy"][: len(cells[0])], cells, "2 people")


def columns_of(picture, level):
    """Left and top of where one grey level begins."""
    rows, columns = np.nonzero((picture == level).all(axis=2))
    return (columns.min(), rows.min(), len(rows)) if len(rows) else None


def test_the_four_pictures_of_every_cell_are_in_their_places():
    sheet = sheet_of([[cell(50), cell(100)], [cell(150), cell(200)]])
    for level in (50, 100, 150, 200):
        places = [columns_of(sheet, level + step) for step in (0, 10, 20, 30)]
        assert all(place is not None and place[2] > 140 * 140 for place in places)
        (x, y, _), (right, _, _), (_, below, _), (corner_x, corner_y, _) = places
        assert right > x
        assert below > y
        assert (corner_x, corner_y) == (right, below)
    assert columns_of(sheet, 100)[0] > columns_of(sheet, 60)[0]  # the next task is to the right
    assert columns_of(sheet, 150)[1] > columns_of(sheet, 70)[1]  # the next person below


def test_a_contraction_shows_and_never_covers_the_pictures():
    quiet, loud = sheet_of([[cell(50)]]), sheet_of([[cell(50, percent=500.0)]])
    assert (quiet != loud).any(axis=2).sum() > 5000
    pictures = (quiet == 50).all(axis=2) | (quiet == 70).all(axis=2) | (quiet == 80).all(axis=2)
    np.testing.assert_array_equal(loud[pictures], quiet[pictures])


def test_the_sides_and_artefacts_can_be_told_apart():
    sheets = []
    for column in (FRIDLUND.column("F19"), FRIDLUND.column("F20")):
        one = cell(50)
        one.percent[:, column] = 60
        sheets.append(sheet_of([[one]]))
    assert (sheets[0] != sheets[1]).any()
    spoilt = cell(50)
    spoilt.intact[10:20] = False
    assert (sheet_of([[spoilt]]) != sheet_of([[cell(50)]])).any(axis=2).sum() > 1000


def test_the_moment_shown_is_strong_and_no_blink():
    expression = np.zeros((100, 52), np.float32)
    intent = np.zeros((100, 22))
    intent[40:60] = 0.8
    blink = [BLENDSHAPE_INDEX["eyeBlinkLeft"], BLENDSHAPE_INDEX["eyeBlinkRight"]]
    expression[48:52, blink] = 1.0
    intent[48:52] = 0.85
    assert 40 <= apex_of(expression, intent) < 60
    assert expression[apex_of(expression, intent), blink[0]] == 0
    expression[40:60, blink] = 1.0  # eyes that are meant to be shut
    expression[45, blink] = 0.2
    assert expression[apex_of(expression, intent), blink[0]] == 1


def test_a_real_sheet_is_drawn(sources, tmp_path):
    cohort = plan_cohort(CohortSettings(participants=1, sessions=1, tasks=("Smile-Open",), seconds=3), sources)
    path = tmp_path / "sheet.jpg"
    draw_contact_sheet(cohort, sources, path)
    sheet = cv2.imread(str(path))
    assert sheet.shape[1] > 300
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 3000
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_sheet_that_cannot_be_written_is_refused(sources, tmp_path):
    cohort = plan_cohort(CohortSettings(participants=1, sessions=1, tasks=("sad",), seconds=0.2), sources)
    with pytest.raises(BadInput, match="cannot be written"):
        draw_contact_sheet(cohort, sources, tmp_path / "no folder" / "sheet.png")
