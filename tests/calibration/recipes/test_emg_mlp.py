"""EMG2Exp and Exp2EMG: both learn, both directions, whatever is added; a run is the same however it is cut up."""

import io
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rich.console import Console  # noqa: E402

from calibration.distributed import Ranks  # noqa: E402
from calibration.emg_bundles import TaughtBy  # noqa: E402
from calibration.emg_evaluation import predicted, score  # noqa: E402
from calibration.loop import Run, train  # noqa: E402
from calibration.recipes.emg_mlp import KIND, OURS, EmgMlpSettings, EmgTraining, rest_of  # noqa: E402
from calibration.setting_words import changed  # noqa: E402
from calibration.train_order import Order, work_folder  # noqa: E402
from engines.bundle import read_bundle  # noqa: E402
from engines.errors import BadInput, BundleError  # noqa: E402
from engines.networks.emg_mlp import EmgMlp, MlpSizes  # noqa: E402
from rt import cli  # noqa: E402
from rt.errors import BadSettings  # noqa: E402

HERE = Ranks(torch.device("cpu"))
TINY = {"widths": (16, 16), "epochs": 2, "batch": 128}
TINY_OURS = {**OURS, **TINY}


@pytest.fixture(autouse=True)
def no_onnx(monkeypatch):
    """Exporting takes seconds, and is tested elsewhere."""
    monkeypatch.setattr("calibration.face_bundle.find_spec", lambda name: None)


def recipe_of(data, out, changes, **order):
    settings = changed(EmgMlpSettings(), {**TINY, **changes})
    return EmgTraining(Order(data, out, run=Run(work_folder(out)), **order), settings, HERE)


def trained(recipe, **run):
    return train(recipe, replace(recipe.order.run, **run), HERE, Console(file=io.StringIO()))


def test_the_defaults_are_the_papers():
    s = KIND.settings
    assert (s.learning_rate, s.last_rate, s.batch, s.epochs, s.normalisation) == (1e-3, 1.0, 512, 200, "maximum")
    assert (s.taps_ms, s.scaling, s.amplitude_weight, s.uncertainty) == ((0,), "plain", 0.0, False)
    assert s.sizes("flame55")["end"] == "relu"
    assert replace(s, direction="emg2exp").sizes("flame55")["end"] == "tanh"
    assert len(MlpSizes(22, 55).widths) + 1 == 6


@pytest.mark.parametrize("direction", ["exp2emg", "emg2exp"])
@pytest.mark.parametrize("changes", [{}, OURS], ids=["paper", "ours"])
def test_it_learns(signals_folder, tmp_path, direction, changes):
    changes = {**changes, "direction": direction, "epochs": 6, "widths": (32, 32), "learning_rate": 1e-2}
    recipe = recipe_of(signals_folder, tmp_path / "b", changes)
    recipe.finish = lambda: None

    def error():
        with torch.no_grad():
            batch = recipe.batch(0)
            mean = recipe.network(batch.given).mean
            return float((mean - recipe.network.scaled_targets(batch.wanted)).square().mean())

    before = error()
    trained(recipe)
    assert error() < 0.8 * before


@pytest.mark.parametrize("changes", [{}, TINY_OURS], ids=["paper", "ours"])
def test_an_interrupted_run_goes_on_bit_by_bit(signals_folder, tmp_path, changes):
    whole = recipe_of(signals_folder, tmp_path / "whole", changes)
    half = recipe_of(signals_folder, tmp_path / "half", changes)
    for recipe in (whole, half):
        recipe.finish = lambda: None
    trained(whole)
    step, count = half.step, iter(range(99))

    def until(batch):
        if next(count) == 3:
            raise KeyboardInterrupt
        return step(batch)

    half.step = until
    with pytest.raises(KeyboardInterrupt):
        trained(half, checkpoint_steps=1)
    again = recipe_of(signals_folder, tmp_path / "half", changes)
    again.finish = lambda: None
    trained(again, resume=True)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name


def test_a_batch_is_rows_with_their_past(signals_folder, tmp_path):
    recipe = recipe_of(signals_folder, tmp_path / "b", TINY_OURS)
    batch = recipe.batch(0)
    assert batch.given.shape == (128, 7, 52)
    rows = recipe.rows
    drawn = recipe._shuffled[1][:128]
    row = next(int(r) for r in drawn if r - rows.first[r] > 12)
    place = list(drawn).index(row)
    np.testing.assert_array_equal(batch.given[place, 3], rows.given[row - 3])
    np.testing.assert_array_equal(batch.wanted[place], rows.wanted[row])


def test_all_rows_come_once_per_epoch_in_another_order(signals_folder, tmp_path):
    recipe = recipe_of(signals_folder, tmp_path / "b", {"batch": 120})
    epochs = []
    for epoch in range(2):
        for step in range(recipe.steps_per_epoch):
            recipe.batch(epoch * recipe.steps_per_epoch + step)
        epochs.append(recipe._shuffled[1])
    assert not np.array_equal(*epochs)
    np.testing.assert_array_equal(*(np.sort(order) for order in epochs))


def test_spoilt_muscles_teach_nothing(signals_folder, tmp_path, monkeypatch):
    recipe = recipe_of(signals_folder, tmp_path / "b", {})
    batch = recipe.batch(0)
    spoilt = batch._replace(weight=batch.weight.clone())
    spoilt.weight[:, 4] = 0
    other = spoilt._replace(wanted=spoilt.wanted.clone())
    other.wanted[:, 4] = 50.0
    states = []
    for given in (spoilt, other):
        fresh = recipe_of(signals_folder, tmp_path / "b", {})
        fresh.step(given)
        states.append(fresh.network.head.weight.detach().clone())
    assert torch.equal(*states)


def test_the_bundle_says_what_it_is(signals_folder, tmp_path):
    trained(recipe_of(signals_folder, tmp_path / "b", {**TINY_OURS, "fold": 1}))
    bundle = read_bundle(tmp_path / "b")
    manifest, said = bundle.manifest, TaughtBy.of(bundle, "b")
    assert (manifest.system, manifest.network, manifest.montage) == ("eifer_emg", "emg_mlp", "fridlund")
    assert manifest.sizes["normalisation"] == "calibration"
    assert manifest.training.synthetic
    assert manifest.training.people == 4
    assert said.held_out == ("002",)
    assert set(manifest.metrics) >= {"mse", "rms", "smape", "spearman", "slope"}
    assert all("1 people held out, fold 1 of 5" in metric.on for metric in manifest.metrics.values())


def test_peaks_are_stretched_by_what_they_lack(signals_folder, tmp_path):
    changes = {**TINY_OURS, "peak_gain": False, "rest": False}
    plain, stretched = (recipe_of(signals_folder, tmp_path / name, changes) for name in "ab")
    stretched.settings = changed(stretched.settings, {"peak_gain": True})
    trained(plain)
    reached = np.nan_to_num(score(plain.network, plain.bundle, plain.pairs, 1).values["slope"]).mean(0)
    trained(stretched)
    gain = (stretched.network.output_gain / plain.network.output_gain).numpy()
    moves = reached > 0  # what never moves stays as it is
    np.testing.assert_allclose(gain, np.where(moves, np.clip(1 / np.where(moves, reached, 1), 1, 2), 1), rtol=1e-4)
    assert gain.max() > 1.05
    again = np.nan_to_num(score(stretched.network, stretched.bundle, stretched.pairs, 1).values["slope"]).mean(0)
    low = moves & (reached < 0.9)
    assert (again[low] > reached[low]).all()


def test_rest_ends_where_ranks_say_so():
    numbers = np.random.default_rng(0)
    noise, still = numbers.random((2, 900), np.float32), np.zeros((1000, 1), np.float32)
    effort = np.linspace(1, 3, 100, dtype=np.float32)
    given, truth = (np.concatenate([rest, effort])[:, None] for rest in noise)
    person = SimpleNamespace(wanted=np.hstack([truth, still]), weight=np.ones((1000, 2), np.float32))
    until, level = rest_of([person, person], [np.hstack([given, given])] * 2, 0)
    assert 0.9 < until < 1.1  # nine frames in ten are noise in both
    assert level == pytest.approx(0.5, abs=0.05)
    assert rest_of([person], [np.hstack([given, given])], 1) == (0.0, 0.0)  # never moves


def test_what_rests_is_tied_and_ranks_no_worse(signals_folder, tmp_path):
    changes = {**TINY_OURS, "peak_gain": False}
    recipe = recipe_of(signals_folder, tmp_path / "b", changes)
    trained(recipe)
    rested = recipe.network
    ranks = score(rested, recipe.bundle, recipe.pairs, 1).values["spearman"]
    free = EmgMlp(replace(rested.sizes, rest=False))
    free.load_state_dict({name: value for name, value in rested.state_dict().items() if "rest" not in name})
    assert np.nanmean(ranks) >= np.nanmean(score(free, recipe.bundle, recipe.pairs, 1).values["spearman"])
    lowest = [(said == said.min(0)).mean() for said in
              (predicted(network, recipe.bundle, recipe.rows) for network in (rested, free))]  # fmt: skip
    assert lowest[0] > lowest[1] + 0.1  # share of the frames: rest is one number
    assert (rested.rest_level <= rested.rest_until).all()


def test_going_on_finds_rest_anew(signals_folder, tmp_path):
    changes = {**TINY_OURS, "peak_gain": False, "learning_rate": 1e-12}  # so that nothing else changes
    first = recipe_of(signals_folder, tmp_path / "b", changes)
    trained(first)
    again = recipe_of(signals_folder, tmp_path / "c", changes, start_from=tmp_path / "b")
    trained(again)
    torch.testing.assert_close(again.network.rest_until, first.network.rest_until)
    torch.testing.assert_close(again.network.rest_level, first.network.rest_level)


def test_it_goes_on_from_a_bundle_of_the_same_kind_only(signals_folder, tmp_path):
    trained(recipe_of(signals_folder, tmp_path / "b", {}))
    first = recipe_of(signals_folder, tmp_path / "c", {}, start_from=tmp_path / "b")
    for name, array in read_bundle(tmp_path / "b").arrays.items():
        np.testing.assert_array_equal(array, first.network.state_dict()[name])
    with pytest.raises(BundleError, match="direction is exp2emg there, emg2exp here"):
        recipe_of(signals_folder, tmp_path / "c", {"direction": "emg2exp"}, start_from=tmp_path / "b")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"direction": "both"}, "direction .* exp2emg or emg2exp, found 'both'"),
        ({"normalisation": "none"}, "normalisation .* maximum or calibration"),
        ({"taps_ms": (33,)}, "taps_ms must begin with 0"),
        ({"fold": 5}, "fold must be 0..4"),
        ({"epochs": 0}, "epochs must be 1 or more"),
        ({"scaling": "log"}, "scaling .* found 'log'"),
        ({"amplitude_weight": -1.0}, "amplitude_weight 0 or more"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, sentence):
    with pytest.raises((BadSettings, BadInput), match=sentence) as caught:
        changed(EmgMlpSettings(), changes)
    assert "\n" not in str(caught.value)


def test_a_share_of_pictures_is_refused(signals_folder, tmp_path):
    with pytest.raises(BadSettings, match="divides by people: hold some out with --set fold=0"):
        recipe_of(signals_folder, tmp_path / "b", {}, fraction=0.5)


@pytest.fixture
def main(monkeypatch, capfd, tmp_path):
    """main(*arguments) in an empty folder; returns (exit code, out, err)."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["myomirror", *map(str, arguments)])
        try:
            cli.main()
            code = 0
        except SystemExit as caught:
            code = caught.code or 0
        return code, *capfd.readouterr()

    return call


def test_from_real_recordings_to_a_table(mmm_folder, main, tmp_path):
    """`--data MMM` trains, and `evaluate` judges, without anything in between."""
    words = ("--set", "widths=[16,16]", "--epochs", 3, "--set", "batch=64", "--device", "cpu")
    code, _, err = main("train", "emg_mlp", "--data", mmm_folder, "--out", "b", *words)
    assert code == 0, err
    manifest = read_bundle(tmp_path / "b").manifest
    assert manifest.sizes["profile"] == "flame55"
    assert not manifest.training.synthetic
    code, out, err = main("evaluate", "b", "--data", mmm_folder, "--report", "r.json")
    assert code == 0, err
    for word in ("recordings of people", "jena_offline", "Spearman", "zygomaticus", "held nobody out"):
        assert word in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--set", "chain=standard"), "envelopes of jena_offline only"),
        (("--set", "method=DECA"), "no expression parameters of 'DECA'"),
        (("--set", "fold=0"), "fold 0 of 5 cannot be held out of 1 people"),
        (("--people", "7"), "no person '7'"),
        (("--set", "direction=emg2exp", "--set", "rest=true"), "flame55 goes both ways from it: give --set rest=false"),
    ],
)
def test_faults_are_one_sentence_and_exit_code_2(mmm_folder, main, words, sentence):
    code, _, err = main("train", "emg_mlp", "--data", mmm_folder, "--out", "b", "--device", "cpu", *words)
    assert code == 2
    assert sentence in " ".join(err.split())
