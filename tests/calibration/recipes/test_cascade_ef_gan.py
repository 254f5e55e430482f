"""The paper's scheme step by step, that a run is the same however it is cut up, and the bundle that comes out."""

import io
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rich.console import Console  # noqa: E402

from calibration.checkpoint import NAME, read_checkpoint  # noqa: E402
from calibration.distributed import Ranks  # noqa: E402
from calibration.editor_bundle import read_editor  # noqa: E402
from calibration.loop import Run, train  # noqa: E402
from calibration.losses.cascade import change_between  # noqa: E402
from calibration.recipes.cascade_ef_gan import KIND, KIND_LIVE, CascadeEfGan, CascadeSettings  # noqa: E402
from calibration.setting_words import changed  # noqa: E402
from calibration.train_order import Order, settings_for, work_folder  # noqa: E402
from engines.errors import BadInput, BundleError  # noqa: E402
from rt.errors import BadSettings  # noqa: E402

HERE = Ranks(torch.device("cpu"))
TINY = CascadeSettings(
    size=40, modules=2, ngf=2, blocks=1, local_ngf=2, local_blocks=0, refiner_ngf=2, refiner_blocks=0, between=4, ndf=2,
    batch=7, critic_steps=2, epochs=1, cascade_epochs=1, classifier_steps=0,
)  # 2 steps of one module, 2 of the cascade  # fmt: skip


def order(faces, out, **run):
    return Order(faces, out, run=Run(work_folder(out), **run))


def made(smileys, out, settings=TINY):
    return CascadeEfGan(order(smileys, out), settings, HERE)


def trained(recipe, **run):
    recipe.finish, finish = lambda: None, recipe.finish  # most tests need no bundle
    outcome = train(recipe, replace(recipe.order.run, **run), HERE, Console(file=io.StringIO()))
    recipe.finish = finish
    return outcome


def weights(recipe):
    networks = {"editor": recipe.editor, **recipe.critics.networks}
    return {f"{name}.{key}": value.clone() for name, net in networks.items() for key, value in net.state_dict().items()}


def is_same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_papers_numbers():
    s = CascadeSettings()
    assert (s.size, s.modules, s.local, s.profile, s.form, s.attention) == (128, 3, True, "facs17", "paper", True)
    assert (s.ngf, s.blocks, s.local_ngf, s.local_blocks, s.ndf) == (64, 6, 64, 6, 64)
    assert (s.lambda_cond, s.lambda_cont, s.lambda_attn, s.lambda_penalty) == (160, 10, 0.1, 10)
    assert s.lambda_smooth == pytest.approx(1e-5 * s.batch)
    assert (s.batch, s.critic_steps, s.learning_rate, s.beta1, s.beta2) == (25, 5, 1e-4, 0.5, 0.999)
    assert (s.lambda_truth, s.paired, s.variation, s.average) == (0, 0, 0, 0)


def test_the_ablations_are_table_3s():
    table = {label: (own["modules"], own["local"]) for label, own in KIND.ablations["focuses-cascade"].items()}
    assert table == {
        "baseline": (1, False), "local-focuses": (1, True), "cascade": (3, False), "cascade-ef-gan": (3, True),
    }  # fmt: skip
    peers = KIND.ablations["peers"]
    assert list(peers) == ["stargan", "ganimation", "cascade-ef-gan"]
    assert (peers["stargan"]["attention"], peers["stargan"]["classes"]) == (False, True)
    for own in (*KIND.ablations["focuses-cascade"].values(), *peers.values()):
        changed(KIND.settings, own)


def test_the_live_size_is_narrow_and_learns_from_pairs(smileys, tmp_path):
    s = KIND_LIVE.settings
    assert (s.size, s.modules, s.local, s.form, s.critic_steps, s.paired) == (64, 1, True, "ours", 0, 1.0)
    recipe = made(smileys, tmp_path / "b", changed(s, {"batch": 2}))
    assert sum(weight.numel() for weight in recipe.editor.parameters()) < 0.6e6
    assert set(recipe.step(recipe.batch(0))) == {"attn", "interp", "truth"}
    table = KIND_LIVE.ablations["focuses-cascade"]
    assert list(table) == list(KIND.ablations["focuses-cascade"])
    rows = [changed(s, own) for own in (*table.values(), *KIND_LIVE.ablations["peers"].values())]
    assert {row.epochs + row.cascade_epochs for row in rows} == {6}
    assert changed(s, KIND_LIVE.fine_tuning).epochs == 2


def test_the_learning_rate_falls_once_for_each_stage(smileys, tmp_path):
    settings = changed(TINY, {"epochs": 30, "cascade_epochs": 15, "modules": 1, "local": False})
    recipe = made(smileys, tmp_path / "b", settings)
    rates = []
    for _ in range(45):
        rates.append(recipe.making.optimiser.param_groups[0]["lr"])
        assert recipe.judging.optimiser.param_groups[0]["lr"] == rates[-1]
        for descent in (recipe.making, recipe.judging):
            descent.optimiser.step()
        recipe.epoch_ended()
    wanted = [1 - max(0, e + 1 - 20) / 11 for e in range(30)] + [1 - max(0, e + 1 - 10) / 6 for e in range(15)]
    np.testing.assert_allclose(rates, 1e-4 * np.array(wanted), rtol=1e-9)


def naive_terms(recipe, wish, modules):
    """Eq. 2 of every module, as the paper says it in words, on this step's weights."""
    s, critics, editor = recipe.settings, recipe.critics, recipe.editor
    names = ("face", "eyes", "nose", "mouth")
    face, shown = wish.face, wish.source
    told = [wish.target]
    if modules == 2:
        told = [editor.interpolator(wish.source, (wish.target - wish.source) / 2), wish.target]
    totals = dict.fromkeys(("adv", "cond", "cont", "attn"), 0.0)
    for place, labels in enumerate(told):
        module = editor.module_at(place)
        step = module(face, labels)
        for name, pictures in zip(names, ([step.face, step.whole], *([p] for p in step.patches)), strict=True):
            judged = [critics.networks[name](picture) for picture in pictures]
            columns = critics._read[name]
            totals["adv"] -= float(torch.cat([j.real.flatten() for j in judged]).mean())
            away = [(j.labels - labels[:, columns]).square().mean() for j in judged]
            totals["cond"] += 160 * float(sum(away) / len(away))
        totals["cont"] += 10 * float((module(step.face, shown).face - face).abs().mean())
        for attention in (step.attention, *step.patch_attention):
            rough = sum((attention.diff(dim=axis)).abs().sum() for axis in (2, 3)) / len(attention)
            totals["attn"] += 0.1 * float(attention.mean()) + s.lambda_smooth * float(rough)
        face, shown = step.face, labels
    return totals


@pytest.mark.parametrize("number", [0, 2])
def test_the_editors_step_is_eq_2(smileys, tmp_path, number):
    recipe = made(smileys, tmp_path / "b")
    modules = recipe._modules_at(number)
    assert modules == (1 if number == 0 else 2)
    wish = recipe.batch(number).parts[-1]
    before = weights(recipe)
    with torch.no_grad():
        wanted = naive_terms(recipe, wish, modules)
    found = recipe._editor_step(wish, modules)
    assert set(found) == {*wanted, "interp"}
    for name, value in wanted.items():
        assert found[name].item() == pytest.approx(value, rel=1e-4, abs=1e-6), name
    after = weights(recipe)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.split(".")[0] for name in moved} == {"editor"}  # critics are only asked
    second = any(".modules_in_row.1." in name for name in moved)
    assert second == (modules == 2)


def test_the_critics_step_moves_the_critics_only(smileys, tmp_path):
    recipe = made(smileys, tmp_path / "b")
    before = weights(recipe)
    found = recipe._critics_step(recipe.batch(0).parts[0], 1, 0)
    assert set(found) == {"critic", "critic_cond", "label_critic", "penalty"}
    after = weights(recipe)
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"face", "eyes", "nose", "mouth", "labels"}


def test_one_step_is_so_many_of_the_critics(smileys, tmp_path):
    recipe = made(smileys, tmp_path / "b", changed(TINY, {"critic_steps": 3}))
    asked, step = [], recipe._critics_step
    recipe._critics_step = lambda wish, modules, place: asked.append((modules, place)) or step(wish, modules, place)
    losses = recipe.step(recipe.batch(0))
    recipe.step(recipe.batch(recipe.steps_per_epoch))
    assert asked[:3] == [(1, 0)] * 3
    assert {place for _, place in asked[3:]} == {0, 1}  # in turn, of both modules
    assert all(np.isfinite(value.item()) for value in losses.values())


def test_the_cascade_begins_as_the_trained_module(smileys, tmp_path):
    recipe = made(smileys, tmp_path / "b", changed(TINY, {"average": 0.9}))
    for number in range(2):
        recipe.step(recipe.batch(number))
    for editor in (recipe.editor, recipe.average.network):
        first, second = (editor.module_at(place).state_dict() for place in (0, 1))
        assert not is_same(first, second)
    recipe.epoch_ended()
    for editor in (recipe.editor, recipe.average.network):
        first, second = (editor.module_at(place).state_dict() for place in (0, 1))
        assert is_same(first, second)
    recipe.step(recipe.batch(2))
    recipe.epoch_ended()
    assert not is_same(*(recipe.editor.module_at(place).state_dict() for place in (0, 1)))


@pytest.mark.parametrize("changes", [{}, {"local": False, "form": "ours", "average": 0.9, "precision": "bf16"}])
def test_an_interrupted_run_goes_on_bit_by_bit(smileys, tmp_path, changes):
    settings = changed(TINY, changes)
    whole = made(smileys, tmp_path / "whole", settings)
    assert trained(whole).steps == 4
    for stop in (1, 3) if changes else (3,):  # in either stage
        first = made(smileys, tmp_path / f"cut{stop}", settings)
        step, count = first.step, iter(range(9))

        def failing(batch, count=count, step=step, stop=stop):
            if next(count) == stop:
                raise KeyboardInterrupt
            return step(batch)

        first.step = failing
        with pytest.raises(KeyboardInterrupt):
            trained(first, checkpoint_steps=1)
        second = made(smileys, tmp_path / f"cut{stop}", settings)
        assert trained(second, resume=True).steps == 4
        assert is_same(weights(whole), weights(second))
    assert not is_same(weights(made(smileys, tmp_path / "new", settings)), weights(second))


def test_two_halves_of_a_batch_make_the_whole_ones_gradient(smileys, tmp_path):
    """What several processes rely on: every loss is a mean over pictures."""
    recipe = made(smileys, tmp_path / "b", changed(TINY, {"batch": 6}))
    wish = recipe.batch(0).parts[0]

    def gradient(part):
        step = recipe.editor.module_at(0)(part.face, part.target)
        terms = recipe._terms(recipe.editor.module_at(0), step, (part.face, part.source), part.target)
        recipe.editor.zero_grad()
        sum(terms.values()).backward()
        return torch.cat([p.grad.flatten() for p in recipe.editor.module_at(0).parameters() if p.grad is not None])

    halves = [type(wish)(*(one[part] for one in wish)) for part in (slice(0, 3), slice(3, 6))]
    mean = (gradient(halves[0]) + gradient(halves[1])) / 2
    torch.testing.assert_close(mean, gradient(wish), rtol=1e-3, atol=1e-4)


def test_the_paired_term_looks_where_the_truth_is_known(smileys, tmp_path):
    settings = changed(TINY, {"paired": 0.5, "lambda_truth": 3.0})
    recipe = made(smileys, tmp_path / "b", settings)
    wish = recipe.batch(0).parts[-1]
    assert 0 < wish.known.sum() < len(wish.known)
    with torch.no_grad():
        step = recipe.editor.module_at(0)(wish.face, wish.target)
        change = change_between(wish.face, wish.truth)
        places = [(0, 0, 40, 40), *recipe.editor.sizes.patches]
        shown = [(step.face, step.whole), *((patch,) for patch in step.patches)]
        wanted = 0.0
        for (top, left, height, width), pictures, colour in zip(
            places, shown, (step.colour, *step.patch_colours), strict=True
        ):
            rows, columns = slice(top, top + height), slice(left, left + width)
            for n in np.flatnonzero(wish.known):
                truth, weight = wish.truth[n, :, rows, columns], change[n, :, rows, columns]
                for picture, everywhere in [(colour, 0), *((each, 1) for each in pictures)]:
                    away = (picture[n] - truth).abs()
                    there = (away * weight).mean() / max(weight.mean(), 0.02)
                    wanted += float(there + everywhere * away.mean()) / len(wish.known)
    found = recipe._editor_step(wish, 1)
    assert found["truth"].item() == pytest.approx(3 * wanted, rel=1e-4)
    nobody = wish._replace(known=torch.zeros_like(wish.known))
    assert recipe._editor_step(nobody, 1)["truth"].item() == 0


def test_without_critics_pairs_teach(smileys, tmp_path):
    changes = {"critic_steps": 0, "paired": 1.0, "lambda_truth": 10.0, "lambda_cont": 0.0, "form": "ours"}
    recipe = made(smileys, tmp_path / "b", changed(TINY, changes))
    assert recipe.steps_per_epoch == 4
    assert set(recipe.kept) == {"editor", "making", "schedule 0"}
    before = weights(recipe)
    found = recipe.step(recipe.batch(0))
    assert set(found) == {"attn", "interp", "truth"}
    after = weights(recipe)
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"editor"}


def test_it_learns(smileys, tmp_path):
    settings = changed(
        TINY,
        {"form": "ours", "ngf": 6, "ndf": 6, "local": False, "modules": 1, "learning_rate": 3e-3, "flip": 0.0}
        | {"paired": 1.0, "lambda_truth": 10.0, "critic_steps": 1, "batch": 7, "beta1": 0.9},
    )
    recipe = made(smileys, tmp_path / "b", settings)
    losses = [recipe.step(recipe.batch(number)) for number in range(24)]
    for name in ("cont", "truth", "critic_cond"):
        values = [float(step[name]) for step in losses]
        assert np.mean(values[-6:]) < 0.85 * np.mean(values[:3]), name


@pytest.fixture(scope="module")
def bundle(smileys, tmp_path_factory):
    """A bundle, with its training beside it."""
    out = tmp_path_factory.mktemp("trained") / "cascade"
    recipe = made(smileys, out, changed(TINY, {"classifier_steps": 2}))
    trained(recipe)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("calibration.face_bundle.find_spec", lambda name: None)  # no ONNX: it takes seconds
        recipe.finish()
    return out


def test_the_bundle_says_what_taught_it(bundle):
    editor, manifest = read_editor(bundle)
    assert (manifest.system, manifest.network) == ("cascade_ef_gan", "cascade_editor")
    assert manifest.sizes["modules"] == 2
    assert len(editor.sizes.patches) == 3
    assert manifest.training.data.startswith("faces drawn for a test")
    assert manifest.training.people == 4
    assert set(manifest.metrics) == {
        "accuracy_real", "accuracy_made", "accuracy_both", "psnr", "psnr_copying_input", "frechet",
    }  # fmt: skip
    assert manifest.metrics["psnr"].on.startswith("2 people held out, 14 edits against the same sitting")
    checkpoint = read_checkpoint(work_folder(bundle) / NAME)
    stored = checkpoint.states["editor"]
    for name, weight in editor.state_dict().items():
        torch.testing.assert_close(weight, stored[name], rtol=1e-3, atol=1e-4)  # float16


def test_ended_before_the_cascade_all_modules_are_the_trained_one(smileys, tmp_path, monkeypatch):
    monkeypatch.setattr("calibration.face_bundle.find_spec", lambda name: None)
    recipe = made(smileys, tmp_path / "b")
    recipe.step(recipe.batch(0))
    recipe.finish()
    editor, _ = read_editor(tmp_path / "b")
    assert is_same(*(editor.module_at(place).state_dict() for place in (0, 1)))


def test_fine_tuning_goes_on_with_the_cascade(bundle, smileys, tmp_path):
    settings = settings_for(KIND, bundle, {"ndf": 2, "batch": 7, "critic_steps": 2, "classifier_steps": 0})
    assert (settings.epochs, settings.modules, settings.ngf, settings.size) == (0, 2, 2, 40)
    recipe = CascadeEfGan(replace(order(smileys, tmp_path / "own"), start_from=bundle), settings, HERE)
    assert recipe._modules_at(0) == 2
    before = read_checkpoint(work_folder(bundle) / NAME).states
    assert is_same(recipe.critics.networks["eyes"].state_dict(), before["critic eyes"])
    recipe.step(recipe.batch(0))
    assert recipe.identity["start_from"] == "cascade"
    with pytest.raises(BundleError, match="networks of other sizes"):
        other = changed(settings, {"ngf": 4})
        CascadeEfGan(replace(order(smileys, tmp_path / "other"), start_from=bundle), other, HERE)


@pytest.mark.parametrize("changes", [{}, {"local": False, "classes": True, "attention": False, "modules": 1}])
def test_the_picture_shows_each_step(smileys, tmp_path, changes):
    recipe = made(smileys, tmp_path / "b", changed(TINY, changes))
    assert recipe.pictures() == {}
    for number, columns in ((0, 4), (2, 4 + (recipe.settings.modules - 1))):
        recipe.step(recipe.batch(number))
        (picture,) = recipe.pictures().values()
        assert (picture.shape, picture.dtype) == ((4 * 40, columns * 40, 3), np.uint8)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"size": 28}, "size must be 32 or more"),
        ({"batch": 0}, "batch must be 1 or more"),
        ({"critic_steps": -1}, "critic_steps must be 0 or more"),
        ({"critic_steps": 0}, "without critics only pairs teach"),
        ({"epochs": 0, "cascade_epochs": 0}, "together 1 or more, found 0 and 0"),
        ({"epochs": -1}, "0 or more, together"),
        ({"paired": 1.5}, "paired must be 0..1"),
        ({"lambda_truth": 1.0}, "--set paired=0.5"),
    ],
)
def test_numbers_that_cannot_be(changes, sentence):
    with pytest.raises(BadSettings, match=sentence):
        changed(TINY, changes)


def test_editors_that_cannot_be():
    with pytest.raises(BadInput, match="one of paper, ours"):
        changed(TINY, {"form": "mine"})


def test_faces_without_truth_are_refused(oval_faces, tmp_path):
    with pytest.raises(BadInput, match="does not know its faces' expressions"):
        made(oval_faces, tmp_path / "b")
