"""The editor as engines run it: conversions, the same on every backend, and manifests that do not fit."""

from dataclasses import asdict, replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import engines  # noqa: E402
from calibration.editor_bundle import editor_manifest, read_editor  # noqa: E402
from calibration.face_bundle import mask_spec  # noqa: E402
from engines.assembly import bare_network  # noqa: E402
from engines.building import write_network_bundle  # noqa: E402
from engines.bundle import Training  # noqa: E402
from engines.errors import BundleError  # noqa: E402
from engines.networks.cascade_editor import CascadeEditor, EditorSizes, initialise_editor  # noqa: E402
from engines.networks.editor_network import EditorNetwork  # noqa: E402

SIZES = EditorSizes(32, 2, ((4, 4, 8, 24), (8, 12, 12, 12), (16, 8, 12, 16)), 2, 1, 2, 1, 2, 1, 4)
MADE_UP = Training("nothing", 0, True, "CC0", 1)
PLAIN = editor_manifest(SIZES, MADE_UP, {})
MANIFEST = replace(PLAIN, outputs=(*PLAIN.outputs, mask_spec("edit", 32)))


def editor(sizes=SIZES):
    network = CascadeEditor(sizes)
    initialise_editor(network, 1)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim > 1 and "interpolator" not in name:
                weight.mul_(4)
    return network.eval()


def arrays(seed=0):
    rng = np.random.default_rng(seed)
    face = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    return {"face": face, **{name: rng.uniform(0, 5, 17).astype(np.float32) for name in ("source", "target")}}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("editor") / "bundle"
    write_network_bundle(folder, MANIFEST, editor().state_dict(), "float32", with_onnx=False)
    return folder


def test_it_is_the_network_on_rgb_and_fifths():
    network, given = editor(), arrays()
    wrapped = EditorNetwork(network, MANIFEST.inputs, MANIFEST.outputs)
    face, edit = wrapped(*(torch.from_numpy(array) for array in given.values()))
    rgb = torch.from_numpy(given["face"][:, :, ::-1].transpose(2, 0, 1)[None] / 127.5 - 1).float()
    found = network(rgb, *(torch.from_numpy(given[name])[None] / 5 for name in ("source", "target")))
    wanted = ((found.face[0].detach().numpy() + 1) * 127.5).transpose(1, 2, 0)[:, :, ::-1]
    assert np.abs(face.numpy() - wanted).max() <= 0.51
    assert np.abs(edit.numpy() - 255 * found.edit[0, 0].detach().numpy()).max() <= 0.51


def test_a_bundle_there_and_back(bundle):
    read, manifest = read_editor(bundle)
    assert manifest.sizes == {**asdict(SIZES), "patches": [list(patch) for patch in SIZES.patches]}
    for name, weight in editor().state_dict().items():
        assert torch.equal(weight, read.state_dict()[name])


def test_one_module_is_not_told_what_the_face_shows(tmp_path):
    pytest.importorskip("onnxruntime")
    sizes = replace(SIZES, modules=1, patches=(), blocks=0)
    manifest = editor_manifest(sizes, MADE_UP, {})
    assert [spec.name for spec in manifest.inputs] == ["face", "target"]
    write_network_bundle(tmp_path / "b", manifest, editor(sizes).state_dict(), with_onnx=False)
    given = {name: arrays()[name] for name in ("face", "target")}
    one, other = (
        engines.load(tmp_path / "b", backend=name, threads=1).run(given)["face"].astype(int)
        for name in ("torch", "onnxruntime")
    )
    assert np.abs(one - other).max() <= 1


def test_exported_it_makes_the_same_face(tmp_path):
    pytest.importorskip("onnxruntime")
    sizes = replace(SIZES, modules=2, patches=(), blocks=1, form="ours", known=3)
    network = editor(sizes)
    manifest = replace(editor_manifest(sizes, MADE_UP, {}), outputs=MANIFEST.outputs)
    network.known.copy_(torch.rand(3, 17, generator=torch.Generator().manual_seed(1)))
    write_network_bundle(tmp_path / "b", manifest, network.state_dict(), with_onnx=False)
    reference, other = (engines.load(tmp_path / "b", backend=name, threads=1) for name in ("torch", "onnxruntime"))
    faces = []
    for seed in (0, 1):
        wanted = {name: array.astype(int) for name, array in reference.run(arrays(seed)).items()}
        faces.append(wanted["face"])
        for name, array in other.run(arrays(seed)).items():
            assert np.abs(array - wanted[name]).max() <= 1, name
    assert np.abs(faces[0] - faces[1]).mean() > 5


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sizes": {**MANIFEST.sizes, "modules": 99}}, "sizes do not fit: modules"),
        ({"sizes": {**MANIFEST.sizes, "nfg": 2}}, "unknown key 'nfg'; the nearest known one is 'ngf'"),
        ({"inputs": MANIFEST.inputs[:2]}, "takes face, source, target, found face, source"),
        ({"inputs": (replace(MANIFEST.inputs[0], shape=(36, 36, 3)), *MANIFEST.inputs[1:])}, "of 32 px, found"),
        ({"inputs": (*MANIFEST.inputs[:2], replace(MANIFEST.inputs[2], range=(0.0, 1.0)))}, "from 0 to 5"),
        ({"outputs": MANIFEST.outputs[1:]}, "gives a face"),
        ({"outputs": (replace(MANIFEST.outputs[0], colour="RGB"),)}, "the colours it went in with"),
        ({"outputs": (MANIFEST.outputs[0], replace(MANIFEST.outputs[1], dtype="float32"))}, "'edit' of this"),
    ],
)
def test_a_manifest_that_does_not_fit_is_one_sentence(change, sentence):
    with pytest.raises(BundleError, match=sentence):
        bare_network(replace(MANIFEST, **change))


def test_another_network_is_no_editor(tmp_path):
    folder = tmp_path / "other"
    other = replace(MANIFEST, network="face_encoder")
    from engines.bundle import write_bundle

    write_bundle(folder, other, {"a": np.zeros(1, np.float32)})
    with pytest.raises(BundleError, match="holds a face_encoder, not an expression editor"):
        read_editor(folder)
