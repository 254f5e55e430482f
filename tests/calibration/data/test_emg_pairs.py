"""Expression beside muscle, from the three kinds of folder; what does not fit is refused in one sentence."""

import csv
import gzip
import json
import shutil

import numpy as np
import pytest

from calibration.data.emg_pairs import open_pairs
from calibration.data.emg_signals import chain_id_of
from calibration.data.mmm import Recordings
from engines.emg.jena import JENA_CHAIN_ID
from engines.errors import BadInput


@pytest.fixture
def mmm(mmm_folder, tmp_path):
    """A copy that may be spoilt."""
    return shutil.copytree(mmm_folder, tmp_path / "MMM")


@pytest.fixture
def painted(painted_cohort, tmp_path):
    """A rendered cohort, painted; a copy."""
    return shutil.copytree(painted_cohort, tmp_path / "cohort")


def test_mmm_gives_flame_and_the_papers_chain(mmm_folder):
    pairs = open_pairs(mmm_folder)
    assert (pairs.profile, pairs.method, pairs.chain, pairs.chain_id) == (
        "flame55",
        "SMIRK",
        "jena_offline",
        JENA_CHAIN_ID,
    )
    assert pairs.people == ("099",)
    assert not pairs.synthetic
    clip = Recordings.open(mmm_folder).clips[1]
    groups = clip.parameters("SMIRK")
    expected = np.hstack([groups["expression"], groups["eyelid"], groups["jaw"]])
    assert expected.shape == (48, 55)
    np.testing.assert_array_equal(pairs.clips[1].expression, expected)
    np.testing.assert_array_equal(pairs.clips[1].envelope_uv, clip.emg_uv())
    assert pairs.clips[1].intact.all()


def test_any_method_may_be_named(mmm_folder):
    pairs = open_pairs(mmm_folder, "MediaPipe", "jena_offline")
    assert pairs.profile == "arkit52"
    assert pairs.clips[0].expression.shape == (48, 52)


def test_signals_give_the_truth_and_the_live_chain(signals_folder):
    pairs = open_pairs(signals_folder)
    assert (pairs.profile, pairs.method, pairs.chain) == ("arkit52", "Truth", "standard")
    assert pairs.chain_id == chain_id_of("standard")
    assert pairs.synthetic
    assert len(pairs.people) == 5
    assert len(pairs.clips) == 20


def test_a_cohort_has_its_own_expressions_and_any_chain(painted):
    live, papers = open_pairs(painted), open_pairs(painted, chain="jena_offline")
    assert (live.method, live.chain, papers.chain) == ("Truth", "standard", "jena_offline")
    recordings = Recordings.open(painted).select(electrodes=True)
    for one, other, clip in zip(live.clips, papers.clips, recordings, strict=True):
        assert one.id == other.id == clip.id
        np.testing.assert_allclose(one.expression, clip.parameters("Truth")["blendshapes"])
        np.testing.assert_allclose(other.envelope_uv, clip.emg_uv())
        assert one.envelope_uv.shape == other.envelope_uv.shape
        assert not np.array_equal(one.envelope_uv, other.envelope_uv)


def test_a_cohort_of_another_simulator_is_refused(painted):
    path = next(painted.glob("truth/*S/*.npz"))
    with np.load(path) as found:
        arrays = dict(found)
    np.savez(path, **{**arrays, "activation": arrays["activation"] + np.float32(0.01)})
    for other in path.parent.glob("*.npz"):
        if other != path:
            with np.load(other) as found:
                arrays = dict(found)
            np.savez(other, **{**arrays, "activation": arrays["activation"] + np.float32(0.01)})
    with pytest.raises(BadInput, match="another version of the simulator: use chain=jena_offline"):
        open_pairs(painted)
    assert open_pairs(painted, chain="jena_offline").clips


def test_everybody_is_held_out_once(signals_folder):
    pairs = open_pairs(signals_folder)
    folds = [pairs.fold(number) for number in range(5)]
    assert sorted(pid for fold in folds for pid in fold) == list(pairs.people)
    assert {clip.id.pid for clip in pairs.select(folds[2]).clips} == set(folds[2])


def drop_column(path, name):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", newline="") as lines:
        rows = list(csv.reader(lines))
    place = rows[0].index(name)
    with opened(path, "wt", newline="") as lines:
        csv.writer(lines).writerows([row[:place] + row[place + 1 :] for row in rows])


def without_parameters(folder):
    (folder / "MMM_3DMM.csv").unlink()


def without_a_muscle(folder):
    drop_column(next((folder / "emg").glob("*/*.csv")), "Zygomaticus_l")


def without_a_parameter(folder):
    drop_column(next((folder / "video_noelec_params" / "SMIRK").glob("*/*.csv.gz")), "jaw_1")


def unfinished(folder):
    (folder / "signals.json").write_text(json.dumps({"complete": False}))


@pytest.mark.parametrize(
    ("spoil", "words", "sentence"),
    [
        (without_parameters, {}, "no expression parameters for every clip: it has none at all"),
        (without_a_muscle, {}, "does not hold the 22 Fridlund channels: .*missing F20"),
        (without_a_parameter, {}, "SMIRK needs 3 columns of jaw, found 2"),
        (unfinished, {}, "signals in .* are not finished"),
        (None, {"method": "DECA"}, "parameters of 'DECA' for every clip: it has MediaPipe, SMIRK"),
        (None, {"method": "Truth"}, "parameters of 'Truth'"),
        (None, {"chain": "standard"}, "envelopes of jena_offline only, standard cannot be made from them"),
        (None, {"chain": "papers"}, "no EMG chain 'papers'"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused_in_one_sentence(mmm, spoil, words, sentence):
    if spoil is not None:
        spoil(mmm)
    with pytest.raises(BadInput, match=sentence) as caught:
        open_pairs(mmm, **words)
    assert "\n" not in str(caught.value)


def test_what_signals_have_not_is_refused(signals_folder, tmp_path):
    with pytest.raises(BadInput, match="signals without pictures, so there is only the Truth, no 'SMIRK'"):
        open_pairs(signals_folder, "SMIRK")
    pairs = open_pairs(signals_folder)
    with pytest.raises(BadInput, match="no person '999'"):
        pairs.select(["999"])
    for fold in (5, -1):
        with pytest.raises(BadInput, match=f"fold {fold} of 5 cannot be held out of 5 people"):
            pairs.fold(fold)
    with pytest.raises(BadInput, match="no folder of MMM recordings"):
        open_pairs(tmp_path)
