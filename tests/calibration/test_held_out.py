import numpy as np
import pytest

torch = pytest.importorskip("torch")

from calibration.data.face_set import FaceSet  # noqa: E402
from calibration.held_out import MOST, _spaced, measured, restored  # noqa: E402
from engines.networks.resnet_generator import Edited  # noqa: E402


class Brighter(torch.nn.Module):
    """Adds grey levels."""

    def __init__(self, levels):
        super().__init__()
        self.by = torch.nn.Parameter(torch.tensor(levels / 127.5))

    def forward(self, x):
        return x + self.by


@pytest.fixture
def faces(oval_faces):
    return FaceSet.open(oval_faces).select("validation")


def test_psnr_by_hand(faces):
    found = measured(Brighter(0.0), faces, 36, 36, "3 pictures")
    covered, clean, mask = (np.asarray(array[6:9]) for array in (faces.covered, faces.clean, faces.mask))
    triples = zip(covered, clean, mask > 127, strict=True)
    wrong = [((one[where].astype(float) - truth[where]) ** 2).mean() for one, truth, where in triples]
    assert found["psnr_covered"].value == pytest.approx(np.mean(10 * np.log10(255**2 / np.array(wrong))), abs=1e-3)
    assert found["psnr_covered"].value == found["psnr_covered_before"].value
    assert found["psnr_uncovered"].value == pytest.approx(68.131, abs=1e-3)  # equal
    assert found["change_of_clean"].value == 0
    assert found["psnr_covered"].on == "3 pictures, where electrodes cover"


def test_what_a_network_changes(faces):
    found = measured(Brighter(4.0), faces, 32, 36, "3 pictures")
    assert found["change_of_clean"].value == pytest.approx(4, abs=0.01)
    assert found["psnr_uncovered"].value == pytest.approx(10 * np.log10(255**2 / 16), abs=0.01)


def test_a_network_with_an_edit_mask(faces):
    class Attentive(Brighter):
        def forward(self, x):
            return Edited(x + self.by, x[:, :1], x)

    pictures = [np.full((8, 8, 3), 100, np.uint8)] * 2
    assert (restored(Attentive(10.0), pictures) == 110).all()


def test_without_truth_only_the_change_is_known(faces):
    from dataclasses import replace

    assert set(measured(Brighter(1.0), replace(faces, paired=False), 32, 36, "-")) == {"change_of_clean"}


def test_many_pictures_are_thinned_evenly():
    rows = np.arange(1000)
    assert len(_spaced(rows)) == MOST
    assert (_spaced(rows)[0], _spaced(rows)[-1]) == (0, 999)
    assert set(np.diff(_spaced(rows))) == {5, 6}
    assert len(_spaced(rows[:7])) == 7
