"""What encoders see goes into MMM's files, one row per frame, and comes out of them again."""

import csv
import json
import shutil

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from calibration import encoder_parameters  # noqa: E402
from calibration.data.clip_video import ClipWriter  # noqa: E402
from calibration.data.emg_pairs import open_pairs  # noqa: E402
from calibration.data.mmm import Recordings  # noqa: E402
from calibration.data.mmm_layout import METHODS, PARAMETER_INDEX  # noqa: E402
from calibration.encoder_bundle import encoder_manifest  # noqa: E402
from calibration.encoder_parameters import Seeing, write_parameters  # noqa: E402
from calibration.face_bundle import face_spec  # noqa: E402
from calibration.recipes.emg_mlp import KIND  # noqa: E402
from engines.bundle import Manifest, Training  # noqa: E402
from engines.errors import BadInput, BundleError  # noqa: E402

NOBODY = Training("nothing", 0, True, "CC0", 0)
SIDE = 32
CLIPS, FRAMES = 4, 48


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """e (32 px, sees its crop's colour), other (7 shapes), restore (answers grey whatever it sees)."""
    from engines.assembly import bare_network
    from engines.building import write_network_bundle
    from engines.networks.face_encoder import EncoderSizes, FaceEncoder, initialise_encoder

    folder = tmp_path_factory.mktemp("bundles")
    for name, shapes in (("e", 100), ("other", 7)):
        sizes = EncoderSizes(shapes=shapes, arrangement="shared", width=0.1)
        network = FaceEncoder(sizes)
        initialise_encoder(network, 1)
        with torch.no_grad():
            network.heads["expression"].weight.mul_(30)
        write_network_bundle(
            folder / name, encoder_manifest(sizes, SIDE, NOBODY, {}), network.state_dict(), with_onnx=False
        )
    face = (face_spec("face", SIDE),)
    sizes = {"ngf": 4, "blocks": 0, "in_channels": 3, "out_channels": 3}
    restore = Manifest("mc_cyclegan", "resnet_generator", sizes, face, face, NOBODY)
    state = {name: torch.zeros_like(value) for name, value in bare_network(restore).network.state_dict().items()}
    write_network_bundle(folder / "restore", restore, state, with_onnx=False)
    return folder


class NoFaces:
    """Follows the whole picture from the third frame on; what it saw says how often it was asked."""

    blind = False

    def __init__(self, size, landmarker):
        self.size = size

    def find(self, frame, number):
        if number < 2 or number == 10 or self.blind:
            return None
        return np.array([[self.size / len(frame), 0, 0], [0, self.size / len(frame), 0]]), np.zeros((478, 2))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture
def recorded(mmm_folder, tmp_path, monkeypatch):
    """A copy of the tiny MMM folder whose pictures change from frame to frame."""
    folder = tmp_path / "MMM"
    shutil.copytree(mmm_folder, folder)
    rng = np.random.default_rng(0)
    for path in (folder / "video").rglob("*.mp4"):
        path.unlink()
        with ClipWriter(path, (SIDE, SIDE), 30) as film:
            for _ in range(FRAMES):
                coarse = rng.integers(0, 256, (4, 4, 3)).astype(np.uint8)
                film.write(cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST))
    monkeypatch.setattr(encoder_parameters, "Follower", NoFaces)
    return folder


def write(folder, bundles, *words, **more):
    seeings = [Seeing.parse(word.replace("=", f"={bundles}/").replace("+", f"+{bundles}/")) for word in words]
    return write_parameters(Recordings.open(folder), seeings, folder, backend="torch", **more)


def test_files_hold_what_the_encoder_says_frame_by_frame(recorded, bundles):
    before = (recorded / PARAMETER_INDEX).read_text()
    found = write(recorded, bundles, "E_N-occluded=e", "E_N-restored=e+restore")
    assert (found.clips, found.there, found.frames, found.lost) == (CLIPS, 0, CLIPS * FRAMES, CLIPS * 3)
    clip = Recordings.open(recorded).clips[0]
    seen, restored = (clip.parameters(method) for method in ("E_N-occluded", "E_N-restored"))
    assert {name: values.shape for name, values in seen.items()} == {
        name: (FRAMES, count) for name, count in METHODS["E_N-occluded"].items()
    }
    import engines

    engine = engines.load(bundles / "e", backend="torch", device="cpu")
    for number, frame in enumerate(clip.pictures()):
        said = engine.run({"face": np.ascontiguousarray(frame)})
        np.testing.assert_allclose(seen["blendshapes"][number], said["expression"], atol=2e-5)
        np.testing.assert_allclose(seen["camera"][number], said["camera"], atol=2e-5)
    assert np.ptp(seen["blendshapes"], axis=0).max() > 0.01
    assert np.ptp(restored["blendshapes"], axis=0).max() == 0  # it always sees the same grey
    with (recorded / PARAMETER_INDEX).open() as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0])[-2:] == ["E_N-occluded", "E_N-restored"]
    kept = [{name: row[name] for name in row if not name.startswith("E_N")} for row in rows]
    assert kept == list(csv.DictReader(before.splitlines()))


def test_emg_networks_read_them(recorded, bundles):
    write(recorded, bundles, "Live=e")
    pairs = open_pairs(recorded, "Live")
    assert (pairs.profile, pairs.method, len(pairs.clips)) == ("arkit52", "Live", CLIPS)
    assert pairs.clips[0].expression.shape == (FRAMES, 52)
    assert KIND.ablations["folds_e_s-occluded"]["e_s-occluded/fold_3"] == {"method": "E_S-occluded", "fold": 3}


def test_a_run_goes_on_and_other_bundles_are_in_the_way(recorded, bundles):
    index = (recorded / PARAMETER_INDEX).read_bytes()
    write(recorded, bundles, "E_S-occluded=e")
    folder = recorded / "video_noelec_params" / "E_S-occluded"
    files = sorted(folder.rglob("*.csv.gz"))
    before = [path.read_bytes() for path in files]
    files[1].unlink()
    (recorded / PARAMETER_INDEX).write_bytes(index)  # the index comes last: an interrupted run has not written it
    again = write(recorded, bundles, "E_S-occluded=e")
    assert (again.clips, again.there) == (1, CLIPS - 1)
    assert [path.read_bytes() for path in files] == before
    with pytest.raises(BadInput, match="--force replaces it"):
        write(recorded, bundles, "E_S-occluded=e+restore")
    write(recorded, bundles, "E_S-occluded=e+restore", force=True)
    assert [path.read_bytes() for path in files] != before
    assert json.loads((folder / "encoder.json").read_text())["restorer"]["name"] == "restore"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [("E_S-occluded", "METHOD=ENCODER"), ("Live=e+", "METHOD=ENCODER"), ("EIFER=e", "the methods of this project are")],
)
def test_words_that_cannot_be_read(words, sentence):
    with pytest.raises(BadInput, match=sentence):
        Seeing.parse(words)


def test_what_does_not_fit(recorded, bundles, monkeypatch):
    with pytest.raises(BundleError, match="no face encoder of"):
        write(recorded, bundles, "Live=other")
    with pytest.raises(BundleError, match="no face encoder of"):
        write(recorded, bundles, "Live=restore")
    with pytest.raises(BadInput, match="each method once"):
        write(recorded, bundles, "Live=e", "Live=e")
    monkeypatch.setattr(NoFaces, "blind", True)
    with pytest.raises(BadInput, match="no face can be followed in 099_1S"):
        write(recorded, bundles, "Live=e")
