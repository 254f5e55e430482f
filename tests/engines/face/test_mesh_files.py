"""Reading the face model's files: a packed one, a folder of OBJ files, and damaged ones."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from engines.errors import BadInput
from engines.face import mesh_files
from engines.face.mesh import FaceModel
from engines.face.mesh_files import PACKED, read_packed, write_packed

NAMES = ("browDown_L", "jawOpen")


@pytest.fixture
def small(monkeypatch):
    """Sizes of a toy head: 6 vertices in two regions that are used, 100 identities become 2."""
    monkeypatch.setattr(mesh_files, "VERTICES", 6)
    monkeypatch.setattr(mesh_files, "REGIONS", {"face": (0, 4), "teeth": (4, 6)})
    monkeypatch.setattr(mesh_files, "EXPRESSIONS", NAMES)
    monkeypatch.setattr(mesh_files, "IDENTITIES", 2)


def write_obj(path, vertices, uvs, polygons):
    """As the release writes them, v/vt corners counted from 1, and with what other programs add: groups, normals."""
    lines = ["# a comment", "mtllib other.mtl", "o head", *(f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices)]
    lines += [*(f"vt {u:.6f} {v:.6f}" for u, v in uvs), "vn 0.0 0.0 1.0", "usemtl skin", "s 1", "g skin"]
    normal = {4: ""}  # quads without, triangles with a normal
    lines += ["f " + " ".join(f"{v + 1}/{t + 1}{normal.get(len(p), '/1')}" for v, t in p) for p in polygons]
    path.write_text("\n".join(lines) + "\n")


QUAD, TRIANGLE = [(0, 0), (1, 1), (2, 2), (3, 3)], [(3, 4), (4, 0), (5, 1)]
LASHES = [(5, 0), (6, 1), (7, 2)]  # beyond the vertices that are used


@pytest.fixture
def folder(tmp_path, small):
    """A release of 8 vertices, of which 6 are used."""
    rng = np.random.default_rng(0)
    neutral = np.round(rng.normal(size=(8, 3)), 3)
    uvs = np.round(rng.random((5, 2)), 3)
    write_obj(tmp_path / "generic_neutral_mesh.obj", neutral, uvs, [QUAD, TRIANGLE, LASHES])
    for row, name in enumerate(["identity000", "identity001", *NAMES]):
        write_obj(tmp_path / f"{name}.obj", neutral + 0.5 * row, uvs, [QUAD, TRIANGLE, LASHES])
    return tmp_path


def test_a_folder_is_read_as_the_release_lays_it_out(folder):
    model = FaceModel.load(folder)
    np.testing.assert_array_equal(model.triangles, [[0, 1, 2], [0, 2, 3], [3, 4, 5]])
    np.testing.assert_array_equal(model.triangle_uvs, [[0, 1, 2], [0, 2, 3], [4, 0, 1]])
    assert model.neutral.shape == (6, 3)
    assert model.uvs.shape == (5, 2)
    np.testing.assert_allclose(model.identity, np.broadcast_to([[[0.0]], [[0.5]]], (2, 6, 3)), atol=1e-6)
    np.testing.assert_allclose(model.expression, np.broadcast_to([[[1.0]], [[1.5]]], (2, 6, 3)), atol=1e-6)
    assert model.expression_names == NAMES
    assert dict(model.regions) == {"face": (0, 4), "teeth": (4, 6)}


def test_packing_a_folder_keeps_everything(folder, tmp_path):
    arrays = mesh_files.read_obj_folder(folder)
    write_packed(tmp_path / PACKED, arrays)
    again = read_packed(tmp_path / PACKED)
    assert again.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)  # halves are exact in float16
    assert FaceModel.load(tmp_path).expression_names == NAMES  # a folder with the packed file in it


def test_the_real_model_survives_its_own_obj_files(tmp_path, monkeypatch):
    """What the packed file holds, written out as OBJ files with its triangles as polygons, is read back the same."""
    if not os.environ.get("MYOMIRROR_ASSETS"):
        pytest.skip("needs the packed face model: set $MYOMIRROR_ASSETS")
    packed = read_packed(Path(os.environ["MYOMIRROR_ASSETS"]) / PACKED)
    monkeypatch.setattr(mesh_files, "EXPRESSIONS", ("jawOpen",))
    monkeypatch.setattr(mesh_files, "IDENTITIES", 1)
    jaw = packed["expression"][packed["expression_names"].tolist().index("jawOpen")]
    polygons = [list(zip(t, u, strict=True)) for t, u in zip(packed["triangles"], packed["triangle_uvs"], strict=True)]
    names = {"generic_neutral_mesh": 0, "identity000": packed["identity"][0], "jawOpen": jaw}
    for name, moved in names.items():
        write_obj(
            tmp_path / f"{name}.obj", packed["neutral"] + moved, packed["uvs"], polygons if name[0] == "g" else []
        )
    found = FaceModel.load(tmp_path)
    np.testing.assert_array_equal(found.triangles, packed["triangles"])
    np.testing.assert_array_equal(found.triangle_uvs, packed["triangle_uvs"])
    np.testing.assert_allclose(found.neutral, packed["neutral"], atol=1e-6)
    np.testing.assert_allclose(found.expression[0], jaw, atol=3e-6)
    assert dict(found.regions) == dict(
        zip(packed["region_names"].tolist(), map(tuple, packed["region_ranges"].tolist()), strict=True)
    )


def cut(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def first_lines(path, count):
    path.write_text("".join(path.read_text().splitlines(True)[:count]))


def without_polygons(path):
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("f ")))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda f: (f / "jawOpen.obj").unlink(), r"jawOpen.obj cannot be read \(No such file"),
        (lambda f: (f / "generic_neutral_mesh.obj").unlink(), "generic_neutral_mesh.obj cannot be read"),
        (
            lambda f: first_lines(f / "identity001.obj", 7),
            "identity001.obj has 4 vertices where generic_neutral_mesh.obj has 8",
        ),
        (lambda f: cut(f / "jawOpen.obj", 0.2), "jawOpen.obj has . vertices|a line 'v' without 3 numbers"),
        (lambda f: cut(f / "generic_neutral_mesh.obj", 0.3), "has . vertices, at least 6 are needed|without . numbers"),
        (lambda f: cut(f / "generic_neutral_mesh.obj", 0.8), "cut short|holds no polygons|wanted corners v/vt"),
        (lambda f: without_polygons(f / "generic_neutral_mesh.obj"), "holds no polygons"),
        (
            lambda f: (f / "generic_neutral_mesh.obj").write_text(
                (f / "generic_neutral_mesh.obj").read_text().replace("f 4/5/1", "f 9/5/1")
            ),
            "names a corner beyond 0..7",
        ),
        (
            lambda f: (f / "generic_neutral_mesh.obj").write_text(
                (f / "generic_neutral_mesh.obj").read_text().replace("f 4/5/1", "f 4//1")
            ),
            "has the polygon 'f 4//1 5/1/1 6/2/1', wanted corners v/vt",
        ),
        (lambda f: (f / "jawOpen.obj").write_text("v 1 2 nan\n" * 8), "numbers in expression that are not finite"),
        (lambda f: (f / "jawOpen.obj").write_text("v 1 2\n" * 8), "a line 'v' without 3 numbers"),
        (lambda f: (f / "jawOpen.obj").write_text("v 1 2 x\n" * 8), "a line 'v' without 3 numbers"),
        (lambda f: (f / "jawOpen.obj").write_bytes(bytes(range(256)) * 20), "jawOpen.obj has . vertices|without 3"),
    ],
)
def test_damaged_folders_are_refused_with_a_sentence(folder, damage, sentence):
    damage(folder)
    with pytest.raises(BadInput, match=sentence) as error:
        FaceModel.load(folder)
    assert "\n" not in str(error.value)


@pytest.fixture
def packed(folder, tmp_path):
    arrays = mesh_files.read_obj_folder(folder)
    path = tmp_path / PACKED
    write_packed(path, arrays)
    return path, arrays


@pytest.mark.parametrize("share", [0.0, 0.2, 0.7, 0.99])
def test_a_packed_file_cut_short_is_refused(packed, share):
    cut(packed[0], share)
    with pytest.raises(BadInput, match="cut short"):
        FaceModel.load(packed[0])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda a: a.pop("uvs"), "lacks uvs, so it is no face model"),
        (lambda a: a.update(identity=a["identity"][:, :5]), r"identity is float16 \(2, 5, 3\), wanted \(2, 6, 3\)"),
        (lambda a: a.update(neutral=a["neutral"].astype(int)), "neutral is int64"),
        (lambda a: a.update(neutral=a["neutral"] * np.nan), "numbers in neutral that are not finite"),
        (lambda a: a.update(triangles=a["triangles"] + 3), "names a corner beyond 0..5"),
        (lambda a: a.update(triangle_uvs=a["triangle_uvs"] - 1), "names a corner beyond 0..4"),
        (lambda a: a.update(region_ranges=a["region_ranges"] + 1), "a region beyond its 6 vertices"),
        (lambda a: a.update(expression_names=a["expression_names"][:1]), "expression is float16"),
    ],
)
def test_a_packed_file_that_does_not_fit_together_is_refused(packed, change, sentence):
    path, arrays = packed
    short = {name: arrays[name].astype(np.float16) for name in ("expression", "identity")}
    changed = {**arrays, **short}
    change(changed)
    np.savez(path, **changed)
    with pytest.raises(BadInput, match=sentence):
        FaceModel.load(path)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        FaceModel.load(tmp_path / "missing.npz")
    text, archive = tmp_path / "a.npz", tmp_path / "b.npz"
    text.write_text("not a model")
    with pytest.raises(BadInput, match="no face model"):
        FaceModel.load(text)
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("hello.txt", "world")
    with pytest.raises(BadInput, match="lacks neutral"):
        FaceModel.load(archive)
    np.save(tmp_path / "c.npy", np.zeros(3))
    with pytest.raises(BadInput, match="no face model"):
        FaceModel.load(tmp_path / "c.npy")
