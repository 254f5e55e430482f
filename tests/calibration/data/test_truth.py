import dataclasses

import numpy as np
import pytest

from calibration.data.truth import Truth, read_truth, write_truth
from engines.errors import BadInput


def some_truth(frames=3):
    rng = np.random.default_rng(0)
    shapes = zip((field.name for field in dataclasses.fields(Truth)), SHAPES, strict=True)
    arrays = {name: rng.random((frames, *shape)).astype(np.float32) for name, shape in shapes}
    return Truth(**arrays | {"emg_intact": arrays["emg_intact"] > 0.5})


SHAPES = [(52,), (22,), (22,), (22,), (6,), (6,), (3, 4), (3, 4), (68, 2), (68, 2), (8,)]


def test_truth_comes_back_bit_for_bit_and_the_same_truth_gives_the_same_bytes(tmp_path):
    truth = some_truth()
    for name in ("a.npz", "b.npz"):
        write_truth(tmp_path / name, truth)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    found = read_truth(tmp_path / "a.npz")
    assert (tmp_path / "a.npz").stat().st_mode & 0o777 == 0o600
    assert len(found) == 3
    for field in dataclasses.fields(Truth):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(truth, field.name))


def test_a_cut_file_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    write_truth(path, some_truth())
    content = path.read_bytes()
    for size in (0, 20, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(BadInput, match="no clip's truth"):
            read_truth(path)


def test_another_shape_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    write_truth(path, dataclasses.replace(some_truth(), camera=np.zeros((3, 4, 4), np.float32)))
    with pytest.raises(BadInput, match="camera has shape"):
        read_truth(path)
    path.unlink()
    write_truth(path, dataclasses.replace(some_truth(), activation=np.zeros((2, 22), np.float32)))
    with pytest.raises(BadInput, match="activation has shape"):
        read_truth(path)


def test_pickled_objects_are_not_read(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, expression=np.array([{"a": 1}], dtype=object))
    with pytest.raises(BadInput, match="no clip's truth"):
        read_truth(path)
