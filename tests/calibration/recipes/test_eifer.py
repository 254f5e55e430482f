"""The paper's numbers and stages, who learns when, and that a run is the same however it is cut up."""

import io
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rich.console import Console  # noqa: E402

import engines  # noqa: E402
from calibration.distributed import Ranks  # noqa: E402
from calibration.encoder_bundle import encoder_manifest  # noqa: E402
from calibration.loop import Run, train  # noqa: E402
from calibration.recipe import chance  # noqa: E402
from calibration.recipes.eifer import NETWORKS, Eifer, EiferSettings  # noqa: E402
from calibration.setting_words import changed  # noqa: E402
from calibration.train_order import Order, work_folder  # noqa: E402
from engines.building import write_network_bundle  # noqa: E402
from engines.bundle import Training, read_bundle  # noqa: E402
from engines.networks.face_encoder import EncoderSizes, FaceEncoder, initialise_encoder  # noqa: E402
from rt.errors import BadSettings  # noqa: E402

HERE = Ranks(torch.device("cpu"))
SIZES = EncoderSizes(shapes=5, width=0.1)
STEPS = 12  # of an epoch: so many training pictures have the grey faces
ONE = ("p0",)  # and four of this person


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Settings for minutes of a GPU in a second, with an encoder that has learned nothing."""
    folder = tmp_path_factory.mktemp("e_n") / "e_n"
    network = FaceEncoder(SIZES)
    initialise_encoder(network, 7)
    manifest = encoder_manifest(SIZES, 32, Training("nothing", 0, True, "CC0", 7), {})
    write_network_bundle(folder, manifest, network.state_dict(), "float32", with_onnx=False)
    return EiferSettings(str(folder), ngf=4, blocks=1, ndf=4, size=32, stages=(1, 1), pixels=(0.5, 0.01))


def order(faces, out, **run):
    return Order(faces, out, run=Run(work_folder(out), **run))


def trained(recipe, **run):
    recipe.finish, finish = lambda: None, recipe.finish  # most tests need no bundle
    outcome = train(recipe, replace(recipe.order.run, **run), HERE, Console(file=io.StringIO()))
    recipe.finish = finish
    return outcome


def state(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def is_same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_papers_numbers():
    s = EiferSettings()
    assert (s.stages, s.pixels, s.frozen_stages) == ((10, 5, 5), (0.5, 0.1, 0.01), 1)
    assert (s.size, s.ngf, s.blocks, s.batch) == (224, 64, 9, 1)
    assert (s.learning_rate, s.weight_decay) == (2e-4, 1e-3)
    weights = (s.lambda_reco, s.lambda_idt, s.lambda_mc, s.lambda_occ_exp, s.lambda_occ_shp, s.lambda_lmk)
    assert (*weights, s.lambda_rig_tra) == (10, 1.5, 0.5, 1, 0.1, 2.5, 0.1)
    assert [s.stage_of(epoch) for epoch in (0, 9, 10, 14, 15, 19, 20)] == [0, 0, 1, 1, 2, 2, 2]


def test_a_step_is_the_papers_equations(grey_faces, tmp_path, tiny):
    recipe = Eifer(order(grey_faces, tmp_path / "b"), tiny, HERE)
    batch = recipe.batch(0)
    i_n, i_s = batch.clean, batch.covered
    rng = chance(tiny.seed, "mask", 0, 0)
    with torch.no_grad():  # in the recipe's order, as the mask draws from one source
        cns, csn = (recipe.e_n, recipe.g_ns), (recipe.e_s, recipe.g_sn)
        on, off = recipe.run(*cns, i_n, 0.5, rng), recipe.run(*csn, i_s, 0.5, rng)
        n_back, s_back = recipe.run(*csn, on.fake, 0.5, rng), recipe.run(*cns, off.fake, 0.5, rng)
        same_n, same_s = recipe.run(*csn, i_n, 0.5, rng).fake, recipe.run(*cns, i_s, 0.5, rng).fake
        judged = recipe.d_n(off.fake), recipe.d_s(on.fake)

    def sq(a, b):
        return np.mean((a.numpy().astype(np.float64) - b.numpy()) ** 2)

    def theta(encoded):
        return torch.cat((encoded.pose, encoded.camera), 1)

    a, b, c, d = on.encoded, off.encoded, n_back.encoded, s_back.encoded
    wanted = {
        "gan_n": np.mean((judged[0].numpy() - 1) ** 2),
        "gan_s": np.mean((judged[1].numpy() - 1) ** 2),
        "reco": 10 * (sq(n_back.fake, i_n) + sq(s_back.fake, i_s)),
        "idt": 1.5 * (sq(same_s, i_s) + sq(same_n, i_n)),
        "mc": 0.5 * (sq(on.fake, i_n) + sq(off.fake, i_s)),
        "occ_exp": sq(a.expression, c.expression) + sq(b.expression, d.expression),
        "occ_shp": 0.1 * (sq(a.shape, b.shape) + sq(c.shape, d.shape)),
        "lmk": 2.5 * 2 * (sq(on.landmarks, n_back.landmarks) + sq(off.landmarks, s_back.landmarks)),
        "rig_tra": 0.1 * (sq(theta(a), theta(c)) + sq(theta(b), theta(d))),
    }
    found = recipe.step(batch)
    assert set(found) == {*wanted, "critic_n", "critic_s"}
    for name, value in wanted.items():
        assert found[name].item() == pytest.approx(value, rel=1e-4, abs=1e-9), name


def test_who_learns_in_which_stage(grey_faces, tmp_path, tiny):
    recipe = Eifer(order(grey_faces, tmp_path / "b"), tiny, HERE)
    before = {name: state(network) for name, network in {**recipe.networks, "e_n": recipe.e_n}.items()}
    shares, run = [], recipe.run
    recipe.run = lambda e, g, picture, ratio, rng: shares.append(ratio) or run(e, g, picture, ratio, rng)
    recipe.step(recipe.batch(0))
    assert is_same(before["e_s"], recipe.e_s.state_dict())
    assert not any(is_same(before[name], recipe.networks[name].state_dict()) for name in NETWORKS[1:])
    recipe.step(recipe.batch(STEPS))  # the second stage's first
    assert shares == [0.5] * 6 + [0.01] * 6
    assert not is_same(before["e_s"], recipe.e_s.state_dict())
    assert is_same(before["e_n"], recipe.e_n.state_dict())


def test_what_the_generator_sees(grey_faces, tmp_path, tiny):
    recipe = Eifer(order(grey_faces, tmp_path / "b"), tiny, HERE)
    picture = recipe.batch(0).covered
    with torch.no_grad():
        seen = recipe.run(recipe.e_s, recipe.g_sn, picture, 0.01, np.random.default_rng(0), 0.0)
    face = torch.from_numpy(recipe.run.geometry.seen >= 0)
    assert 0.1 < face.float().mean() < 0.95
    assert torch.allclose(seen.masked[0][:, ~face], picture[0][:, ~face], atol=1e-6)
    shown = (seen.masked[0] > -1).any(0) & face
    assert 0 < shown.sum() <= int(0.01 * 32 * 32)
    assert torch.allclose(seen.masked[0][:, shown], picture[0][:, shown], atol=1e-6)
    assert (seen.geometry[0, 0][~face] == 0).all()


def test_losses_fall(grey_faces, tmp_path, tiny):
    settings = changed(tiny, {"learning_rate": 2e-3, "stages": (3, 1), "sharpen": 0.0, "load_ratio": 1.0, "ngf": 8})
    recipe = Eifer(order(grey_faces, tmp_path / "b"), settings, HERE)
    losses = [recipe.step(recipe.batch(number)) for number in range(STEPS)]
    for name in ("reco", "idt"):
        values = [step[name].item() for step in losses]
        assert np.mean(values[-3:]) < 0.7 * np.mean(values[:2]), name


def test_the_learning_rate_falls_along_a_cosine(grey_faces, tmp_path, tiny):
    recipe = Eifer(order(grey_faces, tmp_path / "b"), tiny, HERE)
    rates = []
    for _ in range(2 * STEPS):
        rates.append(recipe.makers.optimiser.param_groups[0]["lr"])
        recipe.makers.optimiser.step()
        recipe.schedules[0].step()
    wanted = [1e-4 * (1 + np.cos(np.pi * step / (2 * STEPS))) for step in range(2 * STEPS)]
    np.testing.assert_allclose(rates, wanted, rtol=1e-6)


def test_an_interrupted_run_goes_on_bit_by_bit(grey_faces, tmp_path, tiny):
    whole = Eifer(replace(order(grey_faces, tmp_path / "whole"), people=ONE), tiny, HERE)
    assert whole.steps_per_epoch == 4
    assert trained(whole).ending == "finished"
    first = Eifer(replace(order(grey_faces, tmp_path / "cut"), people=ONE), tiny, HERE)
    step, count = first.step, iter(range(99))

    def failing(batch):
        if next(count) == 6:  # in the second stage
            raise KeyboardInterrupt
        return step(batch)

    first.step = failing
    with pytest.raises(KeyboardInterrupt):
        trained(first, checkpoint_steps=5)
    second = Eifer(replace(order(grey_faces, tmp_path / "cut"), people=ONE), tiny, HERE)
    assert trained(second, resume=True).steps == 8
    for name in NETWORKS:
        assert is_same(whole.networks[name].state_dict(), second.networks[name].state_dict()), name


def test_two_bundles_come_out(grey_faces, tmp_path, tiny, monkeypatch):
    monkeypatch.setattr("calibration.face_bundle.find_spec", lambda name: None)  # no ONNX: seconds
    recipe = Eifer(order(grey_faces, tmp_path / "b"), tiny, HERE)
    assert recipe.pictures() == {}
    recipe.step(recipe.batch(0))
    (picture,) = recipe.pictures().values()
    assert (picture.shape, picture.dtype) == ((64, 5 * 32, 3), np.uint8)
    recipe.finish()
    manifest = read_bundle(tmp_path / "b", "eifer").manifest
    assert {"expression_covered", "expression_covered_before", "shape_covered"} <= set(manifest.metrics)
    assert manifest.training.data.startswith("nothing; then")
    generator = engines.load(tmp_path / "b-generator", backend="torch", device="cpu")
    faces = np.zeros((32, 32, 3), np.uint8)
    assert generator.run({"geometry": faces, "masked": faces})["face"].shape == (32, 32, 3)


def test_another_encoder_is_another_training(grey_faces, tmp_path, tiny):
    recipe = Eifer(order(grey_faces, tmp_path / "b"), tiny, HERE)
    assert len(recipe.identity["encoder_weights"]) == 64


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"size": 30}, "size must divide by 4"),
        ({"stages": (1, 1, 1)}, "stages and pixels are as many"),
        ({"pixels": (0.5, 2.0)}, "shares in 0..1"),
        ({"load_ratio": 0.5}, "load_ratio must be 1"),
        ({"batch": 0}, "batch must be 1"),
        ({"flip": -1.0}, "flip must be 0..1"),
    ],
)
def test_numbers_that_cannot_be(tiny, changes, sentence):
    with pytest.raises(BadSettings, match=sentence):
        changed(tiny, changes)


def test_an_encoder_is_needed_and_must_fit(grey_faces, tmp_path, tiny):
    with pytest.raises(BadSettings, match="--set encoder=BUNDLE"):
        Eifer(order(grey_faces, tmp_path / "b"), replace(tiny, encoder=""), HERE)
    with pytest.raises(BadSettings, match="sees faces of 32 px, the training has 36: give --size 32"):
        Eifer(order(grey_faces, tmp_path / "b"), replace(tiny, size=36), HERE)
