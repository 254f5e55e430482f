"""Reading and writing are tested with MC-CycleGAN's bundle; here what that does not reach."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from calibration import face_bundle  # noqa: E402
from calibration.data.face_set import FaceSet  # noqa: E402
from calibration.face_bundle import (  # noqa: E402
    Ancestor,
    face_manifest,
    mask_spec,
    read_ancestor,
    training_of,
    write_trained,
)
from engines.bundle import ONNX, Training, read_bundle  # noqa: E402
from engines.networks.blocks import initialise  # noqa: E402
from engines.networks.resnet_generator import AttentiveGenerator, GeneratorSizes  # noqa: E402

SIZES = {"ngf": 4, "blocks": 0, "in_channels": 3, "out_channels": 3}


@pytest.fixture
def network():
    network = AttentiveGenerator(GeneratorSizes(**SIZES))
    initialise(network, 1)
    return network


@pytest.fixture
def faces(oval_faces):
    return FaceSet.open(oval_faces)


def test_a_machine_that_only_trains_writes_no_onnx(network, faces, tmp_path, monkeypatch):
    monkeypatch.setattr(face_bundle, "find_spec", lambda name: None)
    more = (mask_spec("edit", 32),)
    manifest = face_manifest("restore", "attentive_generator", SIZES, 32, training_of(faces, 5), {}, more)
    write_trained(tmp_path / "b", manifest, network, "float32")
    found = read_bundle(tmp_path / "b")
    assert ONNX not in found.files
    assert [spec.name for spec in found.manifest.outputs] == ["face", "edit"]
    assert found.manifest.training == Training("ovals drawn for a test; people and splits of seed 0", 4, True, "CC0", 5)


def test_an_ancestors_data_is_named_too(faces):
    before = Training("real people", 30, False, "CC BY-NC", 1)
    assert training_of(faces, 2, Ancestor("general", before)) == Training(
        "real people; then, from the bundle general on: ovals drawn for a test; people and splits of seed 0",
        34,
        False,
        "CC BY-NC; CC0",
        2,
    )
    same = training_of(faces, 2, Ancestor("general", Training("a", 1, True, "CC0", 1)))
    assert (same.synthetic, same.licence) == (True, "CC0")


def test_the_same_people_once_more_are_not_counted_twice(faces):
    first = training_of(faces, 2)
    assert training_of(faces, 2, Ancestor("earlier", first)) == first


def test_without_its_training_only_the_bundles_own_network_is_known(network, faces, tmp_path, monkeypatch):
    monkeypatch.setattr(face_bundle, "find_spec", lambda name: None)
    manifest = face_manifest("s", "attentive_generator", SIZES, 32, training_of(faces, 5), {})
    write_trained(tmp_path / "b", manifest, network, "float32")
    others = {name: AttentiveGenerator(GeneratorSizes(**SIZES)) for name in ("main", "other")}
    before = others["other"].head.conv.weight.detach().clone()
    assert read_ancestor(tmp_path / "b", "main", others).training.people == 4
    assert torch.equal(others["main"].head.conv.weight, network.head.conv.weight)
    assert np.array_equal(others["other"].head.conv.weight.detach(), before)
