"""How an encoder reads is seen on stills, kept beside signals, and networks learn from what it would say."""

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")

from calibration import encoder_readings
from calibration.data.emg_pairs import open_pairs
from calibration.data.face_set import FaceRow, FaceSet, FaceSetWriter
from calibration.encoder_parameters import Seeing
from calibration.encoder_readings import write_readings
from calibration.face_truth import unknown
from engines.errors import BadInput
from rt.cli import app

SHRINKS = 0.5


@pytest.fixture(scope="module")
def stills(tmp_path_factory):
    """Grey squares: the level of the clean one says how far the first movement goes; covered ones look the same."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("stills") / "faces"
    about = {"synthetic": True, "origin": "squares drawn for a test", "licence": "CC0", "seed": 0}
    with FaceSetWriter(folder, 16, 36, 36, True, about, truth_modes=3) as faces:
        for person in range(4):
            for frame in range(9):
                level = rng.random()
                picture = np.full((16, 16, 3), round(255 * level), np.uint8)
                expression = np.zeros(52, np.float32)
                expression[0] = level
                row = FaceRow(
                    f"p{person}", "cohort", f"{person:03d}_c", frame, "train" if person == 3 else "validation"
                )
                truth = unknown(3)._replace(expression=expression)
                faces.add(row, picture, picture, np.zeros((16, 16), np.uint8), truth)
    return folder


class Shrinking:
    """Says half of what is there."""

    def __init__(self, seeing, stack, backend, precision):
        self.about = {"encoder": {"name": seeing.encoder.name}}

    def row(self, picture):
        found = np.zeros(158, np.float32)
        found[0] = SHRINKS * picture.mean() / 255
        return found


@pytest.fixture
def signals(signals_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(encoder_readings, "Eye", Shrinking)
    return shutil.copytree(signals_folder, tmp_path / "signals")


def test_signals_are_read_as_stills_were(signals, stills):
    steps = []
    count = write_readings(signals, FaceSet.open(stills), [Seeing.parse("Live=e")], done=lambda: steps.append(1))
    assert count == len(steps) == 27  # of the three who are held out
    about = json.loads((signals / "readings" / "Live.json").read_text())
    assert (about["encoder"], about["stills"], about["people"]) == ({"name": "e"}, 27, 3)
    true, read = open_pairs(signals), open_pairs(signals, "Live")
    assert (read.method, true.method) == ("Live", "Truth")
    assert "Live modelled" in read.origin
    for one, other in zip(true.clips, read.clips, strict=True):
        assert one.id == other.id
        np.testing.assert_array_equal(one.envelope_uv, other.envelope_uv)
        np.testing.assert_allclose(other.expression[:, 0], SHRINKS * one.expression[:, 0], atol=0.03)
    again = open_pairs(signals, "Live")
    np.testing.assert_array_equal(again.clips[0].expression, read.clips[0].expression)


def test_without_them_it_is_said_how_they_are_made(signals):
    with pytest.raises(BadInput, match=r"no 'E_S-occluded', until myomirror parameters E_S-occluded=ENCODER --data"):
        open_pairs(signals, "E_S-occluded")


def test_the_command(signals, stills):
    said = CliRunner().invoke(app, ["parameters", "Live=e", "--data", str(signals), "--faces", str(stills)])
    assert said.exit_code == 0, said.output
    assert "Live as read on 27 stills" in " ".join(said.output.split())
    assert open_pairs(signals, "Live").method == "Live"


def test_stills_that_know_nothing(signals, oval_faces):
    with pytest.raises(BadInput, match="does not know its faces' expressions"):
        write_readings(signals, FaceSet.open(oval_faces), [Seeing.parse("Live=e")])
