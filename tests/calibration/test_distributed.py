import pytest

torch = pytest.importorskip("torch")

from calibration.distributed import Ranks, ranks  # noqa: E402
from rt.errors import BadSettings, MissingDevice  # noqa: E402

CPU = torch.device("cpu")


def test_shares_are_the_whole_in_order():
    whole = list(range(12))
    for size in (1, 2, 3, 4):
        assert [item for rank in range(size) for item in whole[Ranks(CPU, rank, size).share(12)]] == whole


def test_an_uneven_share_names_the_next_that_is_even():
    with pytest.raises(BadSettings, match="batch of 1 cannot be shared by 4 processes: --set batch=4"):
        Ranks(CPU, 0, 4).share(1)


def test_alone_nothing_is_sent():
    alone, weights = Ranks(CPU), torch.nn.Parameter(torch.ones(2))
    (weights * 3).sum().backward()
    alone.average_gradients([weights])
    alone.wait()
    assert weights.grad.tolist() == [3, 3]
    assert alone.first
    assert alone.any(False, True) == (False, True)
    assert alone.mean({"a": 1.5}) == {"a": 1.5}
    assert not alone.gather(weights * 2).requires_grad


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """What two processes say to one another, by name."""
    import json
    import os
    import socket
    import subprocess
    import sys
    from pathlib import Path

    import engines

    code = """
import json, sys, torch
from calibration.distributed import ranks
with ranks("cpu") as us:
    weights, unused = torch.nn.Parameter(torch.ones(2, 3)), torch.nn.Parameter(torch.ones(1))
    (weights * (1 + 2 * us.rank)).sum().backward()
    us.average_gradients([weights, unused])
    found = {
        "rank": us.rank, "size": us.size, "first": us.first, "gradient": weights.grad.tolist(), "unused": unused.grad,
        "gather": us.gather(torch.full((2, 1), float(us.rank))).tolist(),
        "any": us.any(us.rank == 1, False), "mean": us.mean({"b": us.rank + 1.0, "a": 4.0 * us.rank}),
    }
    us.wait()
    open(sys.argv[1] + str(us.rank), "w").write(json.dumps(found))
"""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    there = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    out, root = tmp_path_factory.mktemp("pair") / "said", Path(engines.__file__).parents[1]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(out)],
            cwd=root,
            env={**os.environ, **there, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]
    assert [process.wait(100) for process in started] == [0, 0]
    return [json.loads(Path(f"{out}{rank}").read_text()) for rank in range(2)]


def test_two_processes_agree(pair):
    assert [(said["rank"], said["size"], said["first"]) for said in pair] == [(0, 2, True), (1, 2, False)]
    for said in pair:
        assert said["gradient"] == [[2.0] * 3] * 2  # the mean of 1 and 3
        assert said["unused"] is None
        assert said["gather"] == [[0.0], [0.0], [1.0], [1.0]]
        assert said["any"] == [True, False]
        assert said["mean"] == {"a": 2.0, "b": 1.5}


def test_without_torchrun_there_is_one(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with ranks("cpu") as alone:
        assert (alone.rank, alone.size, alone.device.type) == (0, 1, "cpu")


def test_more_processes_than_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(MissingDevice, match="finds 1 GPUs, this is process 2"), ranks("cuda"):
        pass
