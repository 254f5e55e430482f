import stat

import pytest

torch = pytest.importorskip("torch")

from calibration.checkpoint import Checkpoint, read_checkpoint, write_checkpoint  # noqa: E402
from engines.errors import BundleError  # noqa: E402
from rt.errors import BadSettings  # noqa: E402

STATE = {
    "net": {"weight": torch.randn(3, 2), "bias": torch.zeros(2, dtype=torch.bfloat16)},
    "adam": {
        "state": {0: {"step": torch.tensor(7.0), "moment": torch.randn(3)}},
        "groups": [{"lr": 0.1, "params": [0]}],
    },
    "words": [None, True, 3, 0.1, "x", []],
}


def same(found, wanted):
    if isinstance(wanted, torch.Tensor):
        return found.dtype == wanted.dtype and torch.equal(found, wanted)
    if isinstance(wanted, dict):
        return list(found) == list(wanted) and all(same(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    return type(found) is type(wanted) and found == wanted


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, Checkpoint("r", {"size": 3, "people": ["a"]}, 11, 2, STATE))
    return path


def test_everything_comes_back_with_its_type(path):
    found = read_checkpoint(path)
    assert (found.recipe, found.identity, found.steps, found.threads) == ("r", {"size": 3, "people": ["a"]}, 11, 2)
    assert same(found.states, STATE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_optimiser_comes_back_to_the_bit(path):
    def stepped(count, adam, weights):
        for step in range(count):
            adam.zero_grad()
            (weights * (step + 1)).sin().sum().backward()
            adam.step()

    weights = torch.nn.Parameter(torch.ones(5))
    adam = torch.optim.Adam([weights])
    stepped(3, adam, weights)
    write_checkpoint(path, Checkpoint("r", {}, 3, 1, {"adam": adam.state_dict(), "weights": {"w": weights}}))
    found = read_checkpoint(path).states
    other = torch.nn.Parameter(found["weights"]["w"].clone())
    again = torch.optim.Adam([other])
    again.load_state_dict(found["adam"])
    stepped(4, adam, weights)
    stepped(4, again, other)
    assert torch.equal(weights, other)


def test_tensors_that_share_memory_or_are_strided_are_written_as_they_look(path):
    base = torch.arange(12.0).reshape(3, 4)
    write_checkpoint(path, Checkpoint("r", {}, 0, 1, {"a": base.T, "b": base[1:], "c": base}))
    assert same(read_checkpoint(path).states, {"a": base.T, "b": base[1:], "c": base})


@pytest.mark.parametrize("damage", ["cut", "empty", "words", "another's"])
def test_damage_is_one_sentence(path, damage):
    from safetensors.torch import save

    content = {
        "cut": path.read_bytes()[:-3],
        "empty": b"",
        "words": b"no tensors at all, but long enough to be read",
        "another's": save({"a": torch.zeros(1)}),
    }[damage]
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"c\.safetensors is no checkpoint, or damaged .*--force"):
        read_checkpoint(path)


def test_absent(tmp_path):
    with pytest.raises(BundleError, match="there is no checkpoint"):
        read_checkpoint(tmp_path / "none")


def test_what_cannot_be_kept_leaves_the_older_one(path):
    before = path.read_bytes()
    with pytest.raises(TypeError, match="/pool/0 is a set"):
        write_checkpoint(path, Checkpoint("r", {}, 12, 1, {"pool": [set()]}))
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_nowhere_to_write(tmp_path):
    with pytest.raises(BadSettings, match="choose another place"):
        write_checkpoint(tmp_path / "no" / "c", Checkpoint("r", {}, 0, 1, {}))
