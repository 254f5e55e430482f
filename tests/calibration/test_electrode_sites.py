"""The table of electrode sites is what the assets and the montages give."""

import os
from pathlib import Path

import numpy as np
import pytest

from calibration import electrode_sites as maker
from engines.emg.montage import FRIDLUND
from engines.errors import BadInput
from engines.face.electrode_sites import electrodes_of, sites
from engines.face.mesh import FaceModel
from engines.face.skin_surface import SkinSurface

ASSETS = Path(os.environ.get("MYOMIRROR_ASSETS", "/missing"))
CANONICAL = ASSETS / "canonical_face_model.obj"


@pytest.fixture(scope="module")
def model():
    if not CANONICAL.is_file() or not (ASSETS / "ict_facekit_light.npz").is_file():
        pytest.skip("needs canonical_face_model.obj and ict_facekit_light.npz in $MYOMIRROR_ASSETS")
    return FaceModel.load(ASSETS)


def test_a_site_is_where_the_map_says():
    uvs = np.array([[0.5, 0.0], [1.0, 1.0], [0.0, 1.0]])
    landmarks = np.array([[0.0, 10, 0], [10, -10, 0], [-10, -10, 0]])
    channel = FRIDLUND.channels[FRIDLUND.column("F2")]  # u 0.55, v 0.175
    found = maker.site_on_face(channel, uvs, np.array([[0, 1, 2]]), landmarks)
    assert np.allclose(found, [1.0, 6.5, 0.0])
    with pytest.raises(BadInput, match="F2 lies beside the face's map"):
        maker.site_on_face(channel, uvs * 0.1, np.array([[0, 1, 2]]), landmarks)


def test_sites_are_near_where_the_montage_puts_them(model):
    """The committed table: no electrode is further than 4 mm from its site, its pair's middle for bipolar ones."""
    surface = SkinSurface(model)
    for body in maker.bodies(model, CANONICAL):
        middle = sites(surface, body.labels).points.mean(0)
        assert np.linalg.norm(middle - body.wanted) < 0.42
        assert set(body.labels) <= set(electrodes_of([FRIDLUND])) or len(body.labels) == 1


def test_bodies_that_overlap_are_moved_apart(model):
    surface = SkinSurface(model)
    start = surface.nearest([[3.0, 7.0, 10.0]]).points[0]
    starts = {"A": start, "B": start + np.array([0.3, 0, 0])}
    bodies = [maker.Body((name,), at, np.zeros((1, 2)), False) for name, at in starts.items()]
    maker.move_apart(surface, bodies)
    apart = np.linalg.norm(bodies[0].centre - bodies[1].centre)
    assert 0.9 * maker.APART_CM < apart < 1.05 * maker.APART_CM


def test_a_missing_asset_is_a_sentence(tmp_path, capsys):
    assert maker.main(["--assets", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err
