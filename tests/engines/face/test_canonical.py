"""Places on the canonical face, and how they follow the landmarks of a picture."""

import os
from pathlib import Path

import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.canonical import COUNT, CanonicalFace

ASSETS = Path(os.environ.get("MYOMIRROR_ASSETS", "/nowhere"))


@pytest.fixture(scope="module")
def face():
    if not (ASSETS / "canonical_face_model.obj").is_file():
        pytest.skip("needs canonical_face_model.obj in $MYOMIRROR_ASSETS")
    return CanonicalFace.load(ASSETS)


def test_a_vertex_is_found_at_its_own_place(face):
    for vertex in (1, 61, 152, 291, 334):
        u, v = face.uvs[vertex]
        np.testing.assert_allclose(face.at_uv(u, 1 - v) @ face.vertices, face.vertices[vertex], atol=1e-6)


def test_beside_the_face_there_is_no_place(face):
    with pytest.raises(BadInput, match="beside the face"):
        face.at_uv(0.01, 0.01)


def test_directions_are_tangents_of_one_centimetre(face):
    cheek = face.at_uv(0.5 + 53 / 200, 0.5 + 23 / 200)
    left, up = face.directions(cheek) @ face.vertices
    assert 0.85 < np.linalg.norm(left) < 1.1  # the skin curves: a chord is a little shorter
    assert 0.85 < np.linalg.norm(up) < 1.1
    assert abs(left @ up) < 0.15
    assert left[0] > 0.5
    assert left[2] < -0.3  # the cheek falls away to the side
    assert up[1] > 0.9


def test_directions_follow_an_affine_picture_exactly(face):
    linear = np.array([[20.0, 3.0], [-2.0, -18.0], [1.0, 4.0]])
    place = face.at_uv(0.6, 0.5)
    rows = face.directions(place)
    np.testing.assert_allclose(rows @ (face.vertices @ linear + [300, 200]), rows @ face.vertices @ linear, atol=1e-9)


def test_points_beside_the_face_follow_the_head_and_points_on_it_the_skin(face):
    points = [[0.0, -6.0], [14.0, 5.0]]
    rows = face.beside(points)
    linear, shift = np.array([[20.0, 3.0], [-2.0, -18.0]]), np.array([300.0, 200.0])
    landmarks = face.vertices[:, :2] @ linear + shift
    np.testing.assert_allclose(rows @ landmarks, np.array(points) @ linear + shift, atol=1e-6)
    moved = landmarks.copy()
    mouth = np.linalg.norm(face.vertices[:, :2] - points[0], axis=1) < 1.5
    moved[mouth] += [0.0, 10.0]
    change = rows @ moved - rows @ landmarks
    assert change[0, 1] > 3.5
    assert abs(change[1]).max() < 1


def test_another_file_is_refused_in_a_sentence(face, tmp_path):
    text = (ASSETS / "canonical_face_model.obj").read_text()
    for name, content in {"cut": text[: len(text) // 2], "empty": "", "letters": "v a b c\n"}.items():
        path = tmp_path / f"{name}.obj"
        path.write_text(content)
        with pytest.raises(BadInput, match=r"cut short|no canonical face"):
            CanonicalFace.load(path)
    with pytest.raises(BadInput, match="assets fetch"):
        CanonicalFace.load(tmp_path / "none.obj")
    assert face.at_uv(0.5, 0.5).shape == (COUNT,)
