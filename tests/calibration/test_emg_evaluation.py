"""The table of EMG2Exp and Exp2EMG: what is right scores right, what was taught on others is not mixed in."""

import io
import math
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rich.console import Console  # noqa: E402

from calibration.data.emg_pairs import open_pairs  # noqa: E402
from calibration.data.readings import FOLDER, Readings  # noqa: E402
from calibration.distributed import Ranks  # noqa: E402
from calibration.emg_evaluation import evaluate, score  # noqa: E402
from calibration.evaluation import Request, as_json, evaluation_of  # noqa: E402
from calibration.loop import Run, train  # noqa: E402
from calibration.recipes.emg_mlp import KIND, EmgMlpSettings, EmgTraining  # noqa: E402
from calibration.setting_words import changed  # noqa: E402
from calibration.train_order import Order, work_folder  # noqa: E402
from engines.bundle import read_bundle, write_bundle  # noqa: E402
from engines.emg.emg_bundle import EmgBundle  # noqa: E402
from engines.errors import BadInput, BundleError, ChainMismatch  # noqa: E402
from engines.networks.emg_mlp import Estimate, MlpSizes, Scaled  # noqa: E402

TINY = {"widths": (16, 16), "epochs": 2, "batch": 128}
PAPER = {"direction": "exp2emg", "profile": "arkit52", "normalisation": "maximum", "taps_ms": [0]}


class Knows(torch.nn.Module):
    """A network that has the truth, times a factor; it counts rows."""

    sizes = MlpSizes(52, 22)

    def __init__(self, wanted, factor=1.0):
        super().__init__()
        self.wanted, self.factor, self.row = torch.from_numpy(wanted), factor, 0

    def forward(self, x):
        self.row += len(x)
        return Scaled(self.factor * self.wanted[self.row - len(x) : self.row], None)

    def estimate(self, scaled):
        return Estimate(scaled.mean, None)


@pytest.fixture(scope="module")
def pairs(signals_folder):
    return open_pairs(signals_folder)


def truth_of(pairs):
    from calibration.emg_rows import EmgRows
    from calibration.emg_scale import scales_of

    return EmgRows.of(pairs, scales_of(pairs, "maximum"), EmgBundle.of(PAPER)).wanted


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_who_knows_the_truth_scores_best(pairs, factor):
    scores = score(Knows(truth_of(pairs), factor), EmgBundle.of(PAPER), pairs, 1)
    assert scores.mean("spearman") == pytest.approx(1, abs=1e-6)
    assert scores.mean("onset") == pytest.approx(0, abs=1e-2)
    assert scores.mean("slope") == pytest.approx(factor, abs=0.01)
    assert (scores.mean("rms") < 1e-3) == (factor == 1)
    assert scores.undefined() == 0


def test_who_says_nothing_is_undefined_and_counted(pairs):
    scores = score(Knows(truth_of(pairs), 0.0), EmgBundle.of(PAPER), pairs, 1)
    assert math.isnan(scores.mean("spearman"))
    assert scores.undefined() == 1
    assert scores.mean("smape") > 150


def bundle_at(out, data, **changes):
    settings = changed(EmgMlpSettings(), {**TINY, **changes})
    recipe = EmgTraining(Order(data, out, run=Run(work_folder(out))), settings, Ranks(torch.device("cpu")))
    train(recipe, recipe.order.run, recipe.ranks, Console(file=io.StringIO()))
    return out


@pytest.fixture(scope="module")
def rows(signals_folder, tmp_path_factory):
    """Two rows in two folds each, one row of the other direction."""
    folder = tmp_path_factory.mktemp("rows")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("calibration.face_bundle.find_spec", lambda name: None)
        for name, own in (("paper", {}), ("history", {"taps_ms": (0, 33)}), ("back", {"direction": "emg2exp"})):
            for fold in (0, 3):
                bundle_at(folder / name / f"fold_{fold}", signals_folder, fold=fold, **own)
    return folder


def asked(data, *bundles):
    console = Console(file=io.StringIO(), width=200)
    request = Request(bundles, data)
    report = evaluation_of(request)(request, console)
    return report, console.file.getvalue()


def test_folds_become_rows_on_people_they_never_saw(rows, signals_folder):
    report, text = asked(signals_folder, *sorted(rows.glob("*/fold_?")))
    assert set(report["rows"]) == {"paper, exp2emg", "history, exp2emg", "back, emg2exp"}
    assert all(row["people"] == 2 for row in report["rows"].values())
    assert [one["people"] for one in report["bundles"].values() if one["row"] == "paper"] == [["001"], ["004"]]
    assert report["notes"] == []
    for word in ("MSE", "SMAPE", "Spearman", "never moves", "zygomaticus", "mouthSmileLeft", "synthetic people"):
        assert word in text
    assert "nan" not in as_json(report).lower()


def test_a_row_is_its_folds_together(rows, signals_folder):
    folds = [asked(signals_folder, rows / "paper" / f"fold_{fold}")[0]["rows"]["paper, exp2emg"] for fold in (0, 3)]
    both = asked(signals_folder, rows / "paper" / "fold_0", rows / "paper" / "fold_3")[0]["rows"]["paper, exp2emg"]
    assert both["rms"]["mean"] == pytest.approx(np.mean([one["rms"]["mean"] for one in folds]), rel=1e-6)


@pytest.fixture(scope="module")
def table_2(signals_folder, tmp_path_factory):
    """(folder of signals that says how three encoders read, the rows of `--ablation table2`, one fold each)."""
    data, out = tmp_path_factory.mktemp("read") / "signals", tmp_path_factory.mktemp("table2")
    shutil.copytree(signals_folder, data)
    nothing, same = np.zeros((52, 52), np.float32), np.eye(52, dtype=np.float32)
    rows = {name: own for name, own in KIND.ablations["table2"].items() if own["fold"] == 2}
    for share, method in enumerate(own["method"] for own in rows.values() if own["method"] != "Truth"):
        seen = Readings(same * np.float32(0.4 + 0.2 * share), np.zeros(52, np.float32), nothing, nothing)
        seen.write(data / FOLDER / f"{method}.npz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("calibration.face_bundle.find_spec", lambda name: None)
        for name, own in rows.items():
            bundle_at(out / name, data, **own)
    return data, out


def test_table_2_is_one_command_each_row_on_its_own_expressions(table_2):
    data, out = table_2
    report, text = asked(data, *sorted(out.glob("*/fold_?")))
    methods = {one["row"]: one["method"] for one in report["bundles"].values()}
    assert methods == {name: name for name in ("E_N-occluded", "E_N-restored", "E_S-occluded", "Truth")}
    assert [one["held_out"] for one in report["bundles"].values()] == [True] * 4
    for name in methods:
        assert f"{name}, exp2emg" in text
    errors = [row["rms"]["mean"] for row in report["rows"].values()]
    assert len({round(error, 6) for error in errors}) == 4  # none was judged on another's expressions


def test_the_manifest_agrees_with_the_table(rows, signals_folder):
    report, _ = asked(signals_folder, rows / "history" / "fold_3")
    said = read_bundle(rows / "history" / "fold_3").manifest.metrics
    assert said["rms"].value == pytest.approx(report["rows"]["history, exp2emg"]["rms"]["mean"], abs=1e-4)


@pytest.fixture
def spoilt(rows, tmp_path):
    """spoilt(**changes of the manifest) -> a bundle that says so."""
    from dataclasses import replace

    def change(drop=(), **changes):
        bundle = read_bundle(rows / "paper" / "fold_0")
        files = {name: content for name, content in bundle.files.items() if name not in drop}
        write_bundle(tmp_path / "b", replace(bundle.manifest, **changes), bundle.arrays, files)
        return tmp_path / "b"

    return change


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"emg_chain": "0123456789ab"}, ChainMismatch, "made with EMG chain 0123456789ab, this station runs"),
        ({"montage": "kuramoto"}, BundleError, "made for the montage kuramoto"),
        ({"drop": ("people.json",)}, BundleError, "does not say who taught it"),
    ],
)
def test_other_muscles_are_refused_in_one_sentence(spoilt, signals_folder, change, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        evaluate(Request((spoilt(**change),), signals_folder), Console(file=io.StringIO()))
    assert "\n" not in str(caught.value)


def test_another_profile_is_refused(rows, mmm_folder):
    """A bundle of the truth asks for the truth, which recordings of people have not."""
    with pytest.raises(BadInput, match="no expression parameters of 'Truth'"):
        evaluate(Request((rows / "paper" / "fold_0",), mmm_folder), Console(file=io.StringIO()))


def test_on_strangers_it_says_so(rows, signals_folder, tmp_path):
    others = shutil.copytree(signals_folder, tmp_path / "others")
    (others / "001_1S.npz").unlink()
    report, text = asked(others, rows / "paper" / "fold_0")
    assert "held nobody out who is in this data" in text
    assert report["rows"]["paper, exp2emg"]["people"] == 4
