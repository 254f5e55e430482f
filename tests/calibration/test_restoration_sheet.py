import cv2
import numpy as np
import pytest

from calibration.regions import face_oval, regions_of
from calibration.restoration import Attached, Removed, Sample
from calibration.restoration_sheet import choose_people, draw_sheet, write_sheet
from engines.errors import BadInput


def sample(person, level):
    clean = np.full((32, 32, 3), level, np.uint8)
    covered, mask = clean.copy(), np.zeros((32, 32), np.uint8)
    covered[8:16, 8:16], mask[8:16, 8:16] = 255, 255
    return Sample(person, "test", 0, covered, clean, mask, regions_of(covered, clean, mask, face_oval((32, 32), None)))


class Restorer:
    size = 32

    def run(self, face):
        edit = np.zeros((32, 32), np.uint8)
        edit[8:16, 8:16] = 255
        return np.full_like(face, 77), face, edit


def tiles(sheet):
    """A colour low in every tile of the first row, below what covers the face."""
    return sheet[58 + 140, 20 + 88 :: 182][:, 1].tolist()


def test_pictures_stand_in_their_columns():
    sheet = draw_sheet(
        [("Faces", [sample("a", 100), sample("b", 60)])], [Attached(), Removed("mine", Restorer(), True)]
    )
    assert sheet.shape == (20 + 58 + 2 * 182, 2 * 20 + 5 * 182 - 6, 3)
    assert tiles(sheet) == [100, 100, 100, 77, 0]
    edit = sheet[58 : 58 + 176, 20 + 4 * 182 :][:176, :176, 0]
    assert edit[66, 66] == 255


def test_people_are_shown_once():
    samples = [sample(person, 90) for person in "aaabbbccd"]
    assert choose_people(samples) == [0, 3, 6, 8]
    assert choose_people(samples, 2) == [0, 8]


def test_the_sheet_is_written_for_its_owner_only(tmp_path):
    path = tmp_path / "sheet.png"
    for _ in range(2):
        write_sheet(path, np.full((9, 9, 3), 40, np.uint8))
    assert path.stat().st_mode & 0o777 == 0o600
    assert (cv2.imread(str(path)) == 40).all()
    with pytest.raises(BadInput, match="cannot be written"):
        write_sheet(tmp_path / "no" / "sheet.png", np.zeros((9, 9, 3), np.uint8))
