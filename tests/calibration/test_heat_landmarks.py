"""Making the map that follows the landmarks: what is shipped is what comes out, edges are short, nothing is turned."""

import os

import numpy as np
import pytest

from calibration.heat_landmarks import LONGEST_CM, _from_rim, halved, main
from engines.bundle import read_bundle
from engines.emg.heat_landmarks import BUNDLE


def test_what_is_shipped_is_what_is_made(tmp_path, capsys):
    if not os.environ.get("MYOMIRROR_ASSETS"):
        pytest.skip("needs the packed face model: set $MYOMIRROR_ASSETS")
    assert main(["--assets", os.environ["MYOMIRROR_ASSETS"], "--out", str(tmp_path / "made")]) == 0
    made, shipped = read_bundle(tmp_path / "made"), read_bundle(BUNDLE)
    assert f"{made.manifest.sizes['points']} points" in capsys.readouterr().out
    assert made.manifest.sizes == shipped.manifest.sizes
    for name in ("middles", "triangles"):
        np.testing.assert_array_equal(made.arrays[name], shipped.arrays[name])
    difference = np.abs(made.arrays["near"].astype(int) - shipped.arrays["near"])
    assert difference.max() <= 1  # another processor may round another way


def test_without_the_model_it_is_one_sentence(tmp_path, capsys):
    assert main(["--assets", str(tmp_path), "--out", str(tmp_path / "made")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def sheet():
    """Points (n, 3) of an uneven sheet, and triangles that cover it once, all in one direction."""
    random = np.random.default_rng(5)
    x, y = np.meshgrid(np.cumsum(random.uniform(0.2, 1.6, 6)), np.cumsum(random.uniform(0.2, 1.6, 5)), indexing="ij")
    points = np.stack([x, y, np.zeros_like(x)], -1).reshape(-1, 3)
    k = np.arange(30).reshape(6, 5)
    a, b, c, d = k[:-1, :-1], k[1:, :-1], k[1:, 1:], k[:-1, 1:]
    return points, np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])


def test_long_edges_are_halved_until_none_is_left_and_the_sheet_stays_covered():
    points, triangles = sheet()
    middles, found = halved(points, triangles, LONGEST_CM)
    for a, b in middles:
        points = np.concatenate([points, [(points[a] + points[b]) / 2]])
    corners = points[found]
    for k in range(3):
        assert np.linalg.norm(corners[:, k] - corners[:, k - 1], axis=1).max() <= LONGEST_CM
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (normal[:, 2] > 0).all()  # none is turned round
    whole = np.ptp(points[:, 0]) * np.ptp(points[:, 1])
    assert normal[:, 2].sum() / 2 == pytest.approx(whole)
    edges = np.sort(np.concatenate([found[:, [k, (k + 1) % 3]] for k in range(3)]), 1)
    edges, count = np.unique(edges, axis=0, return_counts=True)
    alone = points[edges[count == 1]]  # an edge that is halved on one side only would be among them
    assert np.linalg.norm(alone[:, 0] - alone[:, 1], axis=1).sum() == pytest.approx(
        2 * (np.ptp(points[:, 0]) + np.ptp(points[:, 1]))
    )


def test_short_edges_stay_as_they_are():
    points, triangles = sheet()
    middles, found = halved(points, triangles, 10.0)
    assert middles.shape == (0, 2)
    np.testing.assert_array_equal(found, triangles)


def test_the_way_to_the_rim():
    square = np.array([[0, 0, 0], [4, 0, 0], [4, 4, 0], [0, 4, 0]], float)
    points = np.array([[2, 2, 0], [1, 2, 0], [4, 1, 0], [5, 5, 0]], float)
    assert _from_rim(points, square) == pytest.approx([2, 1, 0, np.sqrt(2)])
