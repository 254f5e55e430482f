"""Bundles of eMotion-GAN and its recognisers: written, loaded, run, and refused where they do not fit."""

from dataclasses import asdict, replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import engines  # noqa: E402
from engines.assembly import bare_network  # noqa: E402
from engines.building import write_network_bundle  # noqa: E402
from engines.bundle import Manifest, Training  # noqa: E402
from engines.errors import BundleError  # noqa: E402
from engines.networks.motion_gan import LIVE, MotionGan, initialise_motion  # noqa: E402
from engines.networks.motion_network import flow_spec  # noqa: E402
from engines.networks.recogniser import Recogniser, RecogniserSizes, initialise_recogniser  # noqa: E402
from engines.spec import ArraySpec  # noqa: E402

SIDE = 32
TAUGHT = Training("drawn for a test", 1, True, "CC0", 0)
OURS = replace(LIVE, ngf=4, downs=2, encoder_blocks=0, decoder_blocks=1, warp_ngf=4, warp_blocks=0)
PAPERS = replace(OURS, motion="polar", still_start=False)
FLOW, FACE = (
    flow_spec("flow", SIDE, 10.0),
    ArraySpec("face", "height, width, colour", "uint8", (0, 255), "grey level", "BGR", (SIDE, SIDE, 3)),
)
EMOTION = ArraySpec("emotion", "parameter", "float32", (0.0, 1.0), "1", None, (7,))


def motion_manifest(sizes=OURS, inputs=(FLOW, FACE), outputs=(FLOW, FACE)):
    return Manifest("emotion_gan", "motion_gan", asdict(sizes), tuple(inputs), tuple(outputs), TAUGHT)


def trained(sizes=OURS):
    network = MotionGan(sizes)
    initialise_motion(network, 1)
    with torch.no_grad():
        for decoder in (network.g_f.decoder, network.g_w.decoder):
            decoder.head.conv.weight.normal_(0, 0.02)
    return network


@pytest.mark.parametrize("sizes", [OURS, PAPERS], ids=["ours", "paper"])
def test_a_bundle_runs_and_agrees(tmp_path, sizes):
    network = trained(sizes)
    write_network_bundle(tmp_path / "motion", motion_manifest(sizes), network.state_dict())
    engine = engines.load(tmp_path / "motion", device="cpu", precision="fp32")
    rng = np.random.default_rng(0)
    flow = rng.uniform(-6, 6, (SIDE, SIDE, 2)).astype(np.float32)
    face = rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    found = engine.run({"flow": flow, "face": face})
    with torch.no_grad():
        slow = bare_network(motion_manifest(sizes))
        slow.network.load_state_dict(network.state_dict())
        wanted = slow.eval()(torch.from_numpy(flow), torch.from_numpy(face))
    np.testing.assert_allclose(found["flow"], wanted[0], atol=0.05)
    assert np.abs(found["face"].astype(int) - wanted[1].numpy()).max() <= 1
    engine.close()


def test_bgr_and_rgb_are_the_same_face():
    network = trained(PAPERS)
    rgb = replace(FACE, colour="RGB")
    face, flow = torch.randint(0, 256, (SIDE, SIDE, 3), dtype=torch.uint8), torch.zeros(SIDE, SIDE, 2)
    found = []
    for spec, given in ((FACE, face), (rgb, face.flip(2))):
        bare = bare_network(motion_manifest(PAPERS, (FLOW, spec), (FLOW, spec))).eval()
        bare.network.load_state_dict(network.state_dict())
        with torch.no_grad():
            found.append(bare(flow, given)[1])
    assert torch.equal(found[0], found[1].flip(2))


def test_the_flow_alone_needs_no_face():
    bare = bare_network(motion_manifest(replace(OURS, warp_ngf=0), (FLOW,), (FLOW,))).eval()
    with torch.no_grad():
        assert bare(torch.ones(SIDE, SIDE, 2))[0].shape == (SIDE, SIDE, 2)


@pytest.mark.parametrize(
    ("sizes", "given", "wanted", "says"),
    [
        (replace(OURS, warp_ngf=0), (FLOW, FACE), (FLOW,), "takes and gives flow,"),
        (OURS, (FLOW,), (FLOW, FACE), "takes and gives flow and face"),
        (OURS, (FLOW, FACE), (), "takes and gives"),
        (OURS, (flow_spec("flow", 30, 10.0), FACE), (FLOW,), "divide by 4"),
        (OURS, (replace(FLOW, unit="cm"), FACE), (FLOW,), "'flow' of a motion network"),
        (OURS, (FLOW, replace(FACE, colour=None)), (FACE,), "'face' of a motion network"),
        (OURS, (FLOW, replace(FACE, shape=(16, 16, 3))), (FLOW,), "'face' of a motion network"),
    ],
)
def test_a_manifest_that_does_not_fit(sizes, given, wanted, says):
    with pytest.raises(BundleError, match=says):
        bare_network(motion_manifest(sizes, given, wanted))


def test_sizes_that_do_not_fit():
    manifest = motion_manifest()
    for sizes, says in (({**manifest.sizes, "ngf": 0}, "ngf"), ({"ngf": 4}, "lack"), ({"nfg": 4}, "nearest .* 'ngf'")):
        with pytest.raises(BundleError, match=says):
            bare_network(replace(manifest, sizes=sizes))


def recogniser_manifest(sizes, spec, outputs=(EMOTION,)):
    written = {**asdict(sizes), "widths": list(sizes.widths)}
    return Manifest("emotion_gan", "recogniser", written, (spec,), outputs, TAUGHT)


@pytest.mark.parametrize(
    ("sizes", "spec"),
    [
        (RecogniserSizes(widths=(4, 8, 8), hidden=8), FLOW),
        (RecogniserSizes("face", (4, 8, 8), 8), FACE),
    ],
)
def test_a_recogniser_runs_and_its_shares_add_up(tmp_path, sizes, spec):
    network = Recogniser(sizes)
    initialise_recogniser(network, 2)
    write_network_bundle(tmp_path / "r", recogniser_manifest(sizes, spec), network.state_dict())
    engine = engines.load(tmp_path / "r", device="cpu", precision="fp32")
    given = np.random.default_rng(1).uniform(-5, 5, (SIDE, SIDE, 2)).astype(np.float32)
    if spec is FACE:
        given = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    found = engine.run({spec.name: given})["emotion"]
    assert found.sum() == pytest.approx(1, abs=1e-4)
    assert found.min() >= 0
    engine.close()


@pytest.mark.parametrize(
    ("changes", "spec", "outputs", "says"),
    [
        ({}, FACE, (EMOTION,), "sees one flow"),
        ({}, flow_spec("flow", 40, 10.0), (EMOTION,), "divide by 32"),
        ({}, FLOW, (replace(EMOTION, shape=(6,)),), "gives emotion"),
        ({"sees": "face"}, replace(FACE, range=(0, 1)), (EMOTION,), "BGR or RGB"),
        ({"sees": "both"}, FLOW, (EMOTION,), "flow or face"),
        ({"widths": 3}, FLOW, (EMOTION,), "list of whole numbers"),
        ({"widths": [0]}, FLOW, (EMOTION,), "1..4096"),
        ({"drop": 1.0}, FLOW, (EMOTION,), "drop must be"),
    ],
)
def test_a_recogniser_that_does_not_fit(changes, spec, outputs, says):
    manifest = recogniser_manifest(RecogniserSizes(widths=(4, 8, 8), hidden=8), spec, outputs)
    with pytest.raises(BundleError, match=says):
        bare_network(replace(manifest, sizes={**manifest.sizes, **changes}))
