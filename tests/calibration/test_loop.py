"""The loop with a small recipe that uses every source of chance; MC-CycleGAN's tests do the same with its networks."""

import io
import os
import random
import signal
import stat

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rich.console import Console  # noqa: E402

from calibration import loop  # noqa: E402
from calibration.average import MovingAverage  # noqa: E402
from calibration.checkpoint import NAME, read_checkpoint  # noqa: E402
from calibration.descent import Descent  # noqa: E402
from calibration.distributed import Ranks  # noqa: E402
from calibration.loop import Run, train  # noqa: E402
from calibration.recipe import chance  # noqa: E402
from engines.errors import BundleError, EngineError  # noqa: E402
from rt.errors import BadSettings  # noqa: E402

HERE = Ranks(torch.device("cpu"))


class Toy:
    """A regression with dropout, noise from three libraries, a schedule and an average."""

    name = "toy"
    seed, epochs, steps_per_epoch = 3, 4, 5

    def __init__(self, seed=3, at_step=lambda number: None):
        torch.manual_seed(0)
        self.identity = {"seed": seed}
        self.network = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
        self.descent = Descent(torch.optim.Adam(self.network.parameters(), 0.01), HERE)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.descent.optimiser, lambda epoch: 1 / (1 + epoch))
        self.average = MovingAverage(self.network, 0.9)
        self.kept = {"network": self.network, "descent": self.descent, "s": self.schedule, "average": self.average}
        self.at_step, self.seen, self.finished = at_step, [], 0

    def batch(self, number):
        return number, torch.from_numpy(chance(self.seed, "batch", number).normal(size=(8, 6)).astype(np.float32))

    def step(self, batch):
        number, x = batch
        self.seen.append(number)
        noise = float(np.random.normal() + random.random() + torch.randn(()))
        loss = (self.network(x) - x[:, :1] - noise).square().mean()
        self.descent.step(loss)
        self.average.update()
        loss = self.at_step(number) or loss
        return {"loss": loss, "noise": noise}

    def epoch_ended(self):
        self.schedule.step()

    def pictures(self):
        return {"noise": np.full((4, 4, 3), 7, np.uint8)}

    def finish(self):
        self.finished += 1


def run(recipe, folder, **settings):
    said = io.StringIO()
    outcome = train(recipe, Run(folder, **settings), HERE, Console(file=said, width=200))
    return outcome, said.getvalue()


def weights(recipe):
    return [*recipe.network.state_dict().values(), *recipe.average.network.state_dict().values()]


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


def stopping_at(step):
    return lambda number: os.kill(os.getpid(), signal.SIGTERM) if number == step else None


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    recipe = Toy()
    outcome, _ = run(recipe, tmp_path_factory.mktemp("whole"))
    assert (outcome.ending, outcome.steps, recipe.finished) == ("finished", 20, 1)
    return recipe


@pytest.mark.parametrize("at", [0, 4, 7, 18])
def test_a_stopped_run_goes_on_bit_by_bit(uninterrupted, tmp_path, at):
    first, second = Toy(at_step=stopping_at(at)), Toy()
    outcome, _ = run(first, tmp_path)
    assert (outcome.ending, outcome.steps, first.finished) == ("stopped", at + 1, 0)
    torch.manual_seed(99)  # whatever happened in between
    outcome, _ = run(second, tmp_path, resume=True)
    assert (outcome.ending, second.finished) == ("finished", 1)
    assert first.seen + second.seen == list(range(20))
    assert equal(second, uninterrupted)
    assert not equal(first, uninterrupted)


def test_killed_between_two_checkpoints_it_repeats_the_steps_since(uninterrupted, tmp_path):
    def lost_power(number):
        if number == 9:
            raise OSError("power cut")

    with pytest.raises(OSError, match="power cut"):
        run(Toy(at_step=lost_power), tmp_path, checkpoint_steps=4)
    assert read_checkpoint(tmp_path / NAME).steps == 8
    second = Toy()
    run(second, tmp_path, resume=True)
    assert second.seen[0] == 8
    assert equal(second, uninterrupted)


def test_the_clock_ends_a_run_with_a_bundle_and_it_can_go_on(uninterrupted, tmp_path):
    first, second = Toy(), Toy()
    outcome, _ = run(first, tmp_path, minutes=1e-9)
    assert (outcome.ending, outcome.steps, first.finished) == ("time", 1, 1)
    run(second, tmp_path, resume=True)
    assert equal(second, uninterrupted)


def test_a_finished_run_that_is_resumed_only_finishes_again(tmp_path):
    run(Toy(), tmp_path)
    again = Toy()
    outcome, _ = run(again, tmp_path, resume=True)
    assert (outcome.ending, again.seen, again.finished) == ("finished", [], 1)


def test_another_seed_is_another_run(uninterrupted, tmp_path):
    other = Toy()
    other.seed = 4
    run(other, tmp_path)
    assert not equal(other, uninterrupted)


def test_nowhere_to_write(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadSettings, match="choose another --out"):
        run(Toy(), tmp_path / "file" / "work")


def test_files_are_private(tmp_path):
    run(Toy(), tmp_path / "work")
    assert stat.S_IMODE((tmp_path / "work").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "work" / NAME).stat().st_mode) == 0o600


def test_a_loss_that_is_no_number_keeps_the_good_checkpoint(tmp_path):
    recipe = Toy(at_step=lambda number: torch.tensor(float("nan")) if number >= 6 else None)
    with pytest.raises(EngineError, match="the loss loss is nan at step 10"):
        run(recipe, tmp_path, checkpoint_steps=5, log_steps=100)
    assert read_checkpoint(tmp_path / NAME).steps == 5


def test_the_log_holds_mean_losses_and_pictures(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    losses = iter(range(20))
    recipe = Toy(at_step=lambda number: float(next(losses)) + 1)
    run(recipe, tmp_path, log_steps=10, picture_steps=20)
    read = EventAccumulator(str(tmp_path / "log"))
    read.Reload()
    # the first step at once, then means: of 2..10, of 11..20
    assert [(e.step, e.value) for e in read.Scalars("loss/loss")] == [(1, 1.0), (10, 6.0), (20, 15.5)]
    assert [e.step for e in read.Images("noise")] == [20]


def test_what_an_interrupted_run_logged_after_its_checkpoint_is_not_shown_twice(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def lost_power(number):
        if number == 9:
            raise OSError("power cut")
        return float(number + 1)

    with pytest.raises(OSError, match="power cut"):
        run(Toy(at_step=lost_power), tmp_path, checkpoint_steps=4, log_steps=1)
    run(Toy(at_step=lambda number: 100.0 + number), tmp_path, resume=True, log_steps=1)
    read = EventAccumulator(str(tmp_path / "log"))
    read.Reload()
    assert [(e.step, e.value) for e in read.Scalars("loss/loss")] == [
        *((step, float(step)) for step in range(1, 9)),
        *((step, 99.0 + step) for step in range(9, 21)),
    ]


def test_slow_steps_are_shown_by_the_clock(tmp_path, monkeypatch):
    shown, now = [], [0.0]
    monkeypatch.setattr(loop.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(loop.TrainDisplay, "losses", lambda self, losses, steps, speed: shown.append((steps, speed)))

    def slow(number):
        now[0] += 4.0

    run(Toy(at_step=slow), tmp_path, log_steps=1000)
    assert shown[:3] == [(1, 0.25), (4, 0.25), (7, 0.25)]


def test_other_settings_are_not_continued(tmp_path):
    run(Toy(), tmp_path)
    with pytest.raises(BadSettings, match="seed is 3 there and 5 here"):
        run(Toy(seed=5), tmp_path, resume=True)
    other = Toy()
    other.name = "game"
    with pytest.raises(BadSettings, match="a training of toy, not of game"):
        run(other, tmp_path, resume=True)
    other = Toy()
    del other.kept["average"]
    with pytest.raises(BadSettings, match="another version"):
        run(other, tmp_path, resume=True)
    with pytest.raises(BundleError, match="there is no checkpoint"):
        run(Toy(), tmp_path / "elsewhere", resume=True)


def test_other_threads_are_said(tmp_path, monkeypatch):
    run(Toy(), tmp_path)
    count = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: count + 1)
    _, said = run(Toy(), tmp_path, resume=True)
    assert f"began with {count} threads and goes on with {count + 1}" in said


@pytest.mark.parametrize("name", ["minutes", "checkpoint_minutes", "checkpoint_steps", "log_steps", "picture_steps"])
def test_numbers_that_cannot_be(tmp_path, name):
    with pytest.raises(BadSettings, match=f"{name} must be more than 0"):
        Run(tmp_path, **{name: 0})


def test_an_error_while_a_batch_is_made_comes_out(tmp_path):
    recipe = Toy()
    recipe.batch = lambda number: 1 / (3 - number) and Toy.batch(recipe, number)
    with pytest.raises(ZeroDivisionError):
        run(recipe, tmp_path)
    assert recipe.seen == [0, 1, 2]
