"""FLAME from a user's pickle: a small stand-in of its layout, the textbook's skinning, and what is refused."""

import pickle
import stat
import sys
import types

import numpy as np
import pytest
from scipy.sparse import csc_matrix
from scipy.spatial.transform import Rotation

from engines.errors import BadInput
from engines.face.flame import JOINTS, FlameModel, import_flame

VERTICES, SHAPES, EXPRESSIONS = 30, 6, 4
REST = np.zeros((5, 3))


def small_flame():
    """What FLAME's pickle holds, in its names, shapes and units (metres), with few and random numbers."""
    rng = np.random.default_rng(11)
    skinning, regressor = rng.random((VERTICES, 5)), rng.random((5, VERTICES)) * (rng.random((5, VERTICES)) < 0.4)
    return {
        "v_template": rng.normal(size=(VERTICES, 3)) * 0.1,
        "f": rng.integers(0, VERTICES, (20, 3)).astype(np.uint32),
        "shapedirs": rng.normal(size=(VERTICES, 3, SHAPES + EXPRESSIONS)) * 0.01,
        "posedirs": rng.normal(size=(VERTICES, 3, 36)) * 0.001,
        "J_regressor": csc_matrix(regressor / regressor.sum(1, keepdims=True)),
        "J": rng.normal(size=(5, 3)),
        "weights": skinning / skinning.sum(1, keepdims=True),
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.int64),
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }


@pytest.fixture
def chumpy(monkeypatch):
    """A module of chumpy's name with a class that pickles as chumpy's arrays do, gone again afterwards."""
    package, module = types.ModuleType("chumpy"), types.ModuleType("chumpy.ch")

    class Ch:
        def __init__(self, x):
            self.x, self._dirty_vars, self._itr = x, set(), None

    Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"
    module.Ch = Ch
    monkeypatch.setitem(sys.modules, "chumpy", package)
    monkeypatch.setitem(sys.modules, "chumpy.ch", module)
    return Ch


@pytest.fixture
def write(tmp_path):
    def write(content, protocol=2):
        path = tmp_path / "generic_model.pkl"
        path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol=protocol))
        return path

    return write


@pytest.fixture
def flame(write, tmp_path):
    return import_flame(write(small_flame()), tmp_path / "flame.npz", shapes=SHAPES)


def naive_vertices(raw, shape, expression, pose):
    """Linear blend skinning as in the SMPL paper's equations 2 to 4, vertex by vertex, in metres."""
    shaped = raw["v_template"] + raw["shapedirs"] @ np.concatenate([shape, expression])
    joints = raw["J_regressor"].toarray() @ shaped
    rotations = [Rotation.from_rotvec(turn).as_matrix() for turn in pose]
    corrected = shaped + raw["posedirs"] @ np.concatenate([(r - np.eye(3)).ravel() for r in rotations[1:]])
    world = []
    for joint, parent in enumerate([-1, 0, 1, 1, 1]):
        local = np.eye(4)
        local[:3, :3] = rotations[joint]
        local[:3, 3] = joints[joint] - (joints[parent] if parent >= 0 else 0)
        world.append(local if parent < 0 else world[parent] @ local)
    found = np.zeros_like(corrected)
    for row, vertex in enumerate(corrected):
        for joint, transform in enumerate(world):
            relative = transform @ np.r_[vertex - joints[joint], 1]
            found[row] += raw["weights"][row, joint] * relative[:3]
    return found


def test_vertices_are_the_textbooks(flame):
    rng = np.random.default_rng(0)
    shape, expression, pose = rng.normal(size=SHAPES), rng.normal(size=EXPRESSIONS), rng.normal(size=(5, 3)) * 0.4
    expected = 100 * naive_vertices(small_flame(), shape, expression, pose)
    np.testing.assert_allclose(flame.vertices(shape, expression, pose), expected, atol=1e-4)


def test_at_rest_only_weights_move_it(flame):
    raw = small_flame()
    np.testing.assert_allclose(flame.vertices(), 100 * raw["v_template"], atol=1e-5)
    np.testing.assert_allclose(flame.vertices([0, 2.0]) - flame.vertices(), 200 * raw["shapedirs"][:, :, 1], atol=1e-5)


def test_turning_the_root_turns_everything_alike(flame):
    pose = REST.copy()
    pose[0] = 0.3, -0.8, 0.2
    turned, root = flame.vertices(pose=pose), flame.regressor[0] @ flame.template
    expected = (flame.template - root) @ Rotation.from_rotvec(pose[0]).as_matrix().T + root
    np.testing.assert_allclose(turned, expected, atol=1e-4)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickles_of_all_ages_are_read(write, tmp_path, flame, protocol):
    again = import_flame(write(small_flame(), protocol), tmp_path / "again.npz", shapes=SHAPES)
    np.testing.assert_array_equal(again.expression, flame.expression)
    np.testing.assert_array_equal(again.regressor, flame.regressor)


def test_chumpys_arrays_are_read_without_chumpy(write, tmp_path, flame, chumpy, monkeypatch):
    raw = small_flame()
    path = write(
        {name: chumpy(raw[name]) if name in ("v_template", "shapedirs", "posedirs") else raw[name] for name in raw}
    )
    monkeypatch.delitem(sys.modules, "chumpy.ch")
    monkeypatch.delitem(sys.modules, "chumpy")
    again = import_flame(path, tmp_path / "again.npz", shapes=SHAPES)
    np.testing.assert_array_equal(again.vertices([1.0], [1.0]), flame.vertices([1.0], [1.0]))


def test_python_2_wrote_bytes_as_text(write, tmp_path):
    """As Python 2 pickled arrays: raw bytes in a plain string, big-endian and column by column for once."""
    raw = small_flame()
    content = "".join(f"\\x{byte:02x}" for byte in raw["v_template"].astype(">f8").tobytes(order="F"))
    array = (
        "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n"
        f"(I{VERTICES}\nI3\ntcnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'>'\nNNNI-1\nI-1\nI0\ntbI01\nS'{content}'\ntb"
    )
    rest = pickle.dumps({name: value for name, value in raw.items() if name != "v_template"}, protocol=0)
    path = write(rest[:-1] + b"S'v_template'\n" + array.encode() + b"s.")
    np.testing.assert_allclose(
        import_flame(path, tmp_path / "o.npz", shapes=SHAPES).template, 100 * raw["v_template"], rtol=1e-6
    )


def test_the_profile_moves_expression_lids_and_jaw(write, tmp_path):
    lids = np.random.default_rng(1).normal(size=(2, VERTICES, 3)) * 0.01
    paths = tmp_path / "l_eyelid.npy", tmp_path / "r_eyelid.npy"
    for path, lid in zip(paths, lids, strict=True):
        np.save(path, lid)
    model = import_flame(write(small_flame()), tmp_path / "flame.npz", paths, SHAPES)
    profile = np.zeros(55)
    profile[[0, 3]], profile[50:52], profile[52:] = (0.5, -1.0), (0.25, 1.0), (0.3, 0.01, -0.02)
    pose = REST.copy()
    pose[JOINTS.index("jaw")] = profile[52:]
    expected = model.vertices([0.7], [0.5, 0, 0, -1.0], pose) + 100 * (0.25 * lids[0] + lids[1])
    np.testing.assert_allclose(model.vertices_from_flame55(profile, [0.7]), expected, atol=1e-4)


def test_without_smirks_files_lids_do_not_move(flame):
    profile = np.zeros(55)
    profile[50:52] = 1
    np.testing.assert_array_equal(flame.vertices_from_flame55(profile), flame.vertices())


def test_what_was_imported_is_loaded_again(flame, tmp_path):
    path = tmp_path / "flame.npz"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = FlameModel.load(path)
    np.testing.assert_array_equal(again.vertices([1.0], [1.0], REST + 0.1), flame.vertices([1.0], [1.0], REST + 0.1))
    assert (len(again.shape), len(again.expression)) == (SHAPES, EXPRESSIONS)


class Call:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def mark(folder):
    return f"open({str(folder / 'ran')!r}, 'w').close()"


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("attack", "name"),
    [
        (lambda f: Call(__import__("os").system, f"touch {f / 'ran'}"), "posix.system"),
        (lambda f: Call(eval, mark(f)), "eval"),
        (lambda f: Call(__import__("subprocess").Popen, ["touch", str(f / "ran")]), "Popen"),
        (lambda f: Call(np.save, str(f / "ran"), 1), "save"),
        (lambda f: Call(np.frombuffer, b"12345678"), "frombuffer"),
        (lambda f: Call(getattr, "", "format"), "getattr"),
        (lambda f: Call(open, str(f / "ran"), "w"), "open"),
        (lambda f: Call(__import__("functools").partial, print), "functools.partial"),
    ],
)
@pytest.mark.parametrize(
    "where", [lambda call: call, lambda call: {**small_flame(), "J": call}, lambda call: [{1: (call,)}]]
)
def test_a_pickle_that_would_run_something_is_refused_and_runs_nothing(write, tmp_path, protocol, attack, name, where):
    path = write(where(attack(tmp_path)), protocol)
    with pytest.raises(BadInput, match=f"names .*{name}, which no FLAME model needs: it was not loaded") as error:
        import_flame(path, tmp_path / "flame.npz")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("ran*"))
    assert not (tmp_path / "flame.npz").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a pickle",
        bytes(range(256)) * 9,
        b"\x80\x02}.extra"[:3],
        pickle.dumps(small_flame(), 2)[:5000],
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(I0\ntS'b'\ntR.",  # an array that is a dtype
        b"ccopy_reg\n_reconstructor\n(c_codecs\nencode\nc__builtin__\nobject\nNtR.",  # an object that is a function
        b"c_codecs\nencode\n(S'a'\nS'utf-8'\ntR.",
        b"cnumpy\nndarray\n(dp0\nS'arguments'\nI1\nsb.",  # altering a stand-in's class
        b"Pnowhere\n.",
        b"\x80\x02K\x01.",
    ],
)
def test_damaged_and_odd_pickles_are_refused(write, tmp_path, content):
    with pytest.raises(BadInput, match=r"generic_model.pkl (is damaged|names|holds no table)"):
        import_flame(write(content), tmp_path / "flame.npz")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda m: m.pop("posedirs"), "lacks 'posedirs'"),
        (lambda m: m.update(weights=m["weights"][:9]), "skinning is .9, 5., so it is no FLAME model"),
        (lambda m: m.update(shapedirs=m["shapedirs"][:, :, 0]), "arrays of other shapes"),
        (lambda m: m.update(posedirs=np.array([None, 3])), "is damaged"),
        (lambda m: m.update(v_template=m["v_template"] * np.inf), "numbers in template that are not finite"),
        (lambda m: m.update(f=m["f"] + VERTICES), "names a corner beyond 0..29"),
        (lambda m: m.update(kintree_table=m["kintree_table"][:, ::-1]), "a joint that comes before"),
        (lambda m: m["J_regressor"].indptr.__setitem__(-1, 10**6), "is damaged"),
    ],
)
def test_pickles_of_other_things_are_refused(write, tmp_path, change, sentence):
    raw = small_flame()
    change(raw)
    with pytest.raises(BadInput, match=sentence):
        import_flame(write(raw), tmp_path / "flame.npz", shapes=SHAPES)


def test_chumpys_formulas_are_refused(write, tmp_path, chumpy):
    formula = chumpy(3)
    formula.x = "a formula"
    with pytest.raises(BadInput, match="holds a formula of chumpy's"):
        import_flame(write({**small_flame(), "shapedirs": formula}), tmp_path / "flame.npz")


def test_eyelid_files_are_checked(write, tmp_path):
    path = write(small_flame())
    with pytest.raises(BadInput, match="cannot be read: give SMIRK's"):
        import_flame(path, tmp_path / "f.npz", (tmp_path / "a.npy", tmp_path / "b.npy"))
    np.save(tmp_path / "a.npy", np.zeros((7, 3)))
    with pytest.raises(BadInput, match="has 21 numbers where the model's 30 vertices need 90"):
        import_flame(path, tmp_path / "f.npz", (tmp_path / "a.npy", tmp_path / "a.npy"))


def test_a_converted_file_that_is_none_is_refused(flame, tmp_path):
    path = tmp_path / "flame.npz"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(BadInput, match=r"(import FLAME's pickle again|cut short)"):
        FlameModel.load(path)
    with pytest.raises(BadInput, match="cannot be read"):
        FlameModel.load(tmp_path / "missing.npz")
    np.savez(path, template=np.zeros((3, 3)))
    with pytest.raises(BadInput, match="no converted FLAME model"):
        FlameModel.load(path)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda m: m.vertices(np.zeros(7)), r"shape must be 0..6 weights, found shape \(7,\)"),
        (lambda m: m.vertices([], np.zeros((1, 4))), r"expression must be 0..4 weights, found shape \(1, 4\)"),
        (lambda m: m.vertices(pose=np.zeros(15)), r"pose must be \(5, 3\)"),
        (lambda m: m.vertices(eyelids=[np.nan, 0]), "not a finite number"),
        (lambda m: m.vertices_from_flame55(np.zeros(52)), r"has 55 values, found shape \(52,\)"),
    ],
)
def test_bad_parameters_are_refused(flame, call, sentence):
    with pytest.raises(BadInput, match=sentence):
        call(flame)
