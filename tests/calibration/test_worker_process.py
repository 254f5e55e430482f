import os

import pytest

from calibration.worker_process import ONE_THREAD, end_with_parent, environment


def test_the_environment_is_as_before_afterwards(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with pytest.raises(ValueError, match="a start that fails"), environment(ONE_THREAD):
        assert all(os.environ[name] == "1" for name in ONE_THREAD)
        raise ValueError("a start that fails")
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_a_process_without_a_parent_of_ours_goes_on():
    end_with_parent()  # it would end these tests
