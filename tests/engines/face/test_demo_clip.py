"""The recorded person's truth: packed small, read back to a fifth of a pixel, and damaged bundles are refused."""

import numpy as np
import pytest

from engines.bundle import Manifest, Training, read_bundle, write_bundle
from engines.errors import BadInput, BundleError
from engines.face.demo_clip import BUNDLE, CLEAN, ELECTRODES, DemoClip, truth_arrays

FRAMES = 90


@pytest.fixture(scope="module")
def truth():
    """A shape that turns, breathes and moves in five ways, in px; and random expressions."""
    rng = np.random.default_rng(0)
    shape, moves = rng.uniform(100, 380, (478, 2)), rng.normal(0, 4, (5, 478, 2))
    t = np.arange(FRAMES) / FRAMES * 2 * np.pi
    turn = 0.05 * np.sin(t)
    turned = np.stack([np.cos(turn), -np.sin(turn), np.sin(turn), np.cos(turn)], -1).reshape(-1, 2, 2)
    landmarks = np.einsum("tij,tpj->tpi", turned, shape + np.einsum("tk,kpi->tpi", rng.random((FRAMES, 5)), moves))
    return landmarks, rng.random((FRAMES, 52))


def bundle_at(folder, arrays, files=(ELECTRODES, CLEAN), fps=30):
    sizes = {} if fps is None else {"fps": fps}
    manifest = Manifest("demo_person", "video", sizes, (), (), Training("drawn", 0, True, "CC0", 1))
    write_bundle(folder, manifest, arrays, {name: name.encode() for name in files})
    return folder


def test_every_landmark_comes_back_to_a_fifth_of_a_pixel_in_less_room(truth):
    landmarks, expression = truth
    arrays = truth_arrays(*truth)
    clip = DemoClip(30.0, {}, arrays)
    back = np.array([clip.landmarks_px(frame) for frame in range(FRAMES)])
    assert np.abs(back - landmarks).max() <= 0.22
    shown = np.array([clip.expression(frame) for frame in range(FRAMES)])
    assert np.abs(shown - expression).max() <= 0.5 / 255 + 1e-6
    assert len(arrays["landmark_components"]) < 16
    assert sum(array.nbytes for name, array in arrays.items() if "landmark" in name) < landmarks.size * 4 / 4


def test_a_face_that_never_moves_needs_no_component(truth):
    still = truth_arrays(np.repeat(truth[0][:1], 7, axis=0), truth[1][:7])
    np.testing.assert_allclose(DemoClip(30.0, {}, still).landmarks_px(3), truth[0][0], atol=1e-3)


def test_it_goes_round(tmp_path, truth):
    clip = DemoClip.load(bundle_at(tmp_path / "b", truth_arrays(*truth)))
    assert (clip.frames, clip.fps, clip.period_s) == (FRAMES, 30.0, 3.0)
    assert clip.videos[CLEAN] == CLEAN.encode()
    np.testing.assert_array_equal(clip.landmarks_px(FRAMES + 4), clip.landmarks_px(4))
    np.testing.assert_array_equal(clip.expression(3 * FRAMES), clip.expression(0))
    assert clip.landmarks_px(0).dtype == clip.expression(0).dtype == np.float32


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(files=(CLEAN,)), "lacks electrodes.mp4"),
        (dict(fps=None), "sizes.fps"),
        (dict(without="expression"), "lacks expression"),
    ],
)
def test_a_bundle_that_lacks_something_is_refused(tmp_path, truth, change, words):
    arrays = truth_arrays(*truth)
    arrays.pop(change.pop("without", None), None)
    with pytest.raises(BundleError, match=words):
        DemoClip.load(bundle_at(tmp_path / "b", arrays, **change))


def test_a_truth_of_another_shape_is_refused(truth):
    with pytest.raises(BadInput, match="478"):
        truth_arrays(truth[0][:, :468], truth[1])
    with pytest.raises(BadInput, match="52"):
        truth_arrays(truth[0], truth[1][:5])


def test_the_bundle_of_this_repository_is_small_and_names_its_origin():
    clip = DemoClip.load()
    assert 40 <= clip.period_s <= 60
    assert sum(path.stat().st_size for path in BUNDLE.iterdir()) <= 3_000_000
    made_from = read_bundle(BUNDLE).manifest.training
    assert made_from.synthetic
    assert made_from.people >= 10
    assert made_from.licence == "CC BY 4.0"
    for word in ("London Set", "DeBruine & Jones 2017", "ICT-FaceKit", "MIT"):
        assert word in made_from.data


def test_the_face_is_in_the_middle_and_half_the_picture_high():
    clip = DemoClip.load()
    for frame in range(0, clip.frames, 30):
        points = clip.landmarks_px(frame)
        assert np.linalg.norm(points.mean(0) - (320, 240)) < 60
        assert 200 < np.ptp(points[:, 1]) < 330
