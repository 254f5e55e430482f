"""Light read off a picture of skin whose light is known."""

import numpy as np
import pytest

from engines.face.camera import Camera, rotation_from_vector
from engines.face.mesh import LANDMARKS_68
from engines.face.raster import Raster
from engines.face.skin_light import EVEN, SkinLight, shade_of
from engines.face.skin_surface import SkinSurface

SCALE = 14.0
LIGHT = np.array([0.6, 0.3, -0.1, 0.4])  # 1 towards the viewer


def lit_picture(model, light, turn=(0.0, 0.2, 0.0), albedo=(90, 120, 180)):
    """A head whose skin has one colour, lit by a linear light.  Returns picture, projected vertices and raster."""
    camera = Camera(SCALE, rotation_from_vector(np.array(turn)), np.array([160.0, 140.0]))
    projected = camera.project(model.neutral)
    raster = Raster(260, 320)
    skin = np.ascontiguousarray(model.triangles[(model.triangles < 6706).all(1)])
    raster.draw(projected, skin)
    normals = model.normals(model.neutral) @ np.float32(camera.rotation).T
    normals = raster.interpolate(np.ascontiguousarray(normals), skin)
    normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-6)
    shade = np.clip(light[0] + normals @ light[1:], 0, 2)[..., None] * (raster.triangle >= 0)[..., None]
    return np.clip(shade * albedo, 0, 255).astype(np.uint8), projected, raster


@pytest.fixture(scope="module")
def reader(face_model):
    return SkinLight(SkinSurface(face_model))


def test_a_known_light_is_found(face_model, reader):
    picture, projected, raster = lit_picture(face_model, LIGHT)
    found = reader.read(picture, projected, raster.depth, SCALE)
    assert found[0] + found[3] == pytest.approx(1)
    # (nothing is asked of the balance of [0] and [3]: a face's normals hardly tell them apart)
    for normal in ([0.5, 0.0, 0.866], [-0.5, 0.0, 0.866], [0.0, 0.4, 0.917], [0.2, -0.3, 0.933]):
        assert found[0] + normal @ found[1:] == pytest.approx(LIGHT[0] + normal @ LIGHT[1:], abs=0.08)


def test_the_skins_colour_and_a_beard_do_not_matter(face_model, reader):
    picture, projected, raster = lit_picture(face_model, LIGHT)
    bright = reader.read(picture, projected, raster.depth, SCALE)
    dark = reader.read((picture * 0.5).astype(np.uint8), projected, raster.depth, SCALE)
    assert np.allclose(bright, dark, atol=0.03)
    chin = int(projected[LANDMARKS_68[57], 1])
    picture[chin:] //= 3
    assert np.allclose(bright, reader.read(picture, projected, raster.depth, SCALE), atol=0.12)


def test_light_comes_from_everywhere_where_no_face_is_seen(face_model, reader):
    picture, projected, raster = lit_picture(face_model, LIGHT)
    far = projected + np.float32([5000, 0, 0])
    assert np.array_equal(reader.read(picture, far, raster.depth, SCALE), EVEN)
    assert np.array_equal(reader.read(np.zeros_like(picture), projected, raster.depth, SCALE), EVEN)


def test_shades_stay_within_what_pictures_hold():
    light = np.array([1, 3, 0, 0], np.float32)
    assert shade_of(light, 1.0, 0.0, 0.0) == pytest.approx(1.45)
    assert shade_of(light, -1.0, 0.0, 0.0) == pytest.approx(0.35)
    assert shade_of(light, 0.1, 0.0, 0.995) == pytest.approx(1.3, abs=1e-5)
