import json

import numpy as np
import pytest

from engines.bundle import Manifest, Metric, Training, read_bundle, write_bundle
from engines.errors import BundleError
from engines.spec import ArraySpec

FACE = ArraySpec("face", "height, width, colour", "uint8", (0, 255), "grey level", "BGR")
KEYS = {"system", "network", "sizes", "inputs", "outputs", "training", "metrics", "emg_chain", "montage", "versions"}


@pytest.fixture
def bundle(tmp_path):
    manifest = Manifest(
        system="pixel_rr",
        network="gain and bias",
        sizes={"size": 4},
        inputs=(FACE,),
        outputs=(FACE,),
        training=Training("random numbers", 3, True, "CC0", 7),
        metrics={"psnr": Metric(21.5, "dB", "2 unseen people")},
        versions={"numpy": "2"},
    )
    write_bundle(tmp_path / "b", manifest, {"gain": np.arange(6, dtype=np.float32).reshape(2, 3)})
    return tmp_path / "b"


def edit(bundle, change):
    path = bundle / "manifest.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_what_was_written_is_read(bundle):
    found = read_bundle(bundle, system="pixel_rr")
    np.testing.assert_array_equal(found.arrays["gain"], [[0, 1, 2], [3, 4, 5]])
    assert found.manifest.inputs == (FACE,)
    assert found.manifest.metrics["psnr"] == Metric(21.5, "dB", "2 unseen people")
    assert found.manifest.training.seed == 7
    assert found.manifest.emg_chain is None


def test_more_files_travel_with_the_weights_and_are_checked_too(bundle):
    manifest = read_bundle(bundle).manifest
    write_bundle(bundle, manifest, {"a": np.zeros(1, np.float32)}, {"clip.mkv": b"pictures"})
    assert read_bundle(bundle).files == {"clip.mkv": b"pictures"}
    (bundle / "clip.mkv").write_bytes(b"pictuers")
    with pytest.raises(BundleError, match=r"clip\.mkv is altered"):
        read_bundle(bundle)


def test_the_manifest_has_exactly_the_promised_keys(bundle):
    document = json.loads((bundle / "manifest.json").read_text())
    assert set(document) == KEYS | {"sha256"}
    assert set(document["training"]) == {"data", "people", "synthetic", "licence", "seed"}


def test_files_are_private(bundle):
    assert bundle.stat().st_mode & 0o777 == 0o700
    assert {p.stat().st_mode & 0o777 for p in bundle.iterdir()} == {0o600}
    assert len(list(bundle.iterdir())) == 2


def test_truncated_weights_are_refused(bundle):
    weights = (bundle / "weights.safetensors").read_bytes()
    (bundle / "weights.safetensors").write_bytes(weights[:-1])
    with pytest.raises(BundleError, match="altered or cut short"):
        read_bundle(bundle)


def test_one_altered_bit_is_refused(bundle):
    weights = bytearray((bundle / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (bundle / "weights.safetensors").write_bytes(weights)
    with pytest.raises(BundleError, match="altered"):
        read_bundle(bundle)


def test_missing_weights_are_refused(bundle):
    (bundle / "weights.safetensors").unlink()
    with pytest.raises(BundleError, match="lacks weights"):
        read_bundle(bundle)


def test_missing_folder_is_refused(tmp_path):
    with pytest.raises(BundleError, match="no bundle"):
        read_bundle(tmp_path / "nowhere")


def test_another_system_is_refused(bundle):
    with pytest.raises(BundleError, match="for pixel_rr, not for eifer"):
        read_bundle(bundle, system="eifer")


def test_weights_that_are_no_safetensors_are_refused(bundle):
    import hashlib

    (bundle / "weights.safetensors").write_bytes(b"no weights")
    edit(bundle, lambda d: d["sha256"].update({"weights.safetensors": hashlib.sha256(b"no weights").hexdigest()}))
    with pytest.raises(BundleError, match="safetensors"):
        read_bundle(bundle)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d.update(netwrok="x"), "unknown key 'netwrok'; the nearest known one is 'network'"),
        (lambda d: d["training"].update(license="x"), "nearest known one is 'licence'"),
        (lambda d: d.pop("montage"), "lacks montage"),
        (lambda d: d["metrics"]["psnr"].pop("unit"), "metrics.psnr lacks unit"),
        (lambda d: d["inputs"][0].pop("colour"), "array spec"),
        (lambda d: d["inputs"][0].update(range=[255, 0]), "range"),
        (lambda d: d.update(inputs={}), "lists of array specs"),
        (lambda d: d.update(sizes=[]), "sizes must be an object"),
        (lambda d: d.update(sha256={}), "no sha256"),
        (lambda d: d["sha256"].update({"../../etc/passwd": "0"}), "outside its folder"),
    ],
)
def test_a_wrong_manifest_is_refused_in_one_sentence(bundle, change, sentence):
    edit(bundle, change)
    with pytest.raises(BundleError, match=sentence) as caught:
        read_bundle(bundle)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"text"'])
def test_a_manifest_that_is_no_object_is_refused(bundle, text):
    (bundle / "manifest.json").write_text(text)
    with pytest.raises(BundleError):
        read_bundle(bundle)
