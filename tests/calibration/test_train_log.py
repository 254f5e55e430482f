import stat
import sys

import numpy as np
import pytest

pytest.importorskip("torch")

from calibration.train_log import TrainLog


def test_numbers_and_pictures_can_be_read_again(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = TrainLog(tmp_path / "log", 0)
    log.numbers({"loss/cycle": 0.5}, 7)
    log.pictures({"faces": np.zeros((4, 6, 3), np.uint8)}, 7)
    log.close()
    assert log.why_not is None
    read = EventAccumulator(str(tmp_path / "log"))
    read.Reload()
    assert [(event.step, event.value) for event in read.Scalars("loss/cycle")] == [(7, 0.5)]
    assert [(image.width, image.height) for image in read.Images("faces")] == [(6, 4)]
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "log").iterdir()} == {0o600}
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o700


def test_without_the_library_it_says_so_once_and_does_nothing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    log = TrainLog(tmp_path / "log", 0)
    log.numbers({"loss": 1.0}, 1)
    log.pictures({}, 1)
    log.close()
    assert "pip install 'myomirror[train]'" in log.why_not
    assert not (tmp_path / "log").exists()
