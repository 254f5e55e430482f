"""What ships reads the symmetry of somebody whom it has not seen: the demo's person, whose left side is weak."""

import os

import numpy as np
import pytest

from calibration.cohort_sources import find_face_model
from calibration.metrics.expression import ExpressionReader
from calibration.motion_looks import Look
from calibration.motion_symmetry import Observer
from engines.face.demo_clip import CLEAN, DemoClip
from engines.face.mesh import FaceModel
from engines.face.pose import HeadPose
from engines.face.symmetry import LEAST_CM, REGIONS, SymmetryReader
from rt import assets
from rt.sources.looped_clip import LoopedClip

REST, SMILE, BROWS, EYES, PUCKER = 0, (100, 140), (310, 340), (430, 460), (730, 750)
BROW, EYE, MOUTH = range(len(REGIONS))


@pytest.fixture(scope="module")
def read():
    """Of pictures by number: (region, side) cm, as it is read and as it is."""
    landmarker = assets.find(assets.FACE_LANDMARKER)
    if landmarker is None or not os.environ.get("MYOMIRROR_ASSETS"):
        pytest.skip("needs MYOMIRROR_ASSETS")
    person, reader = DemoClip.load(), SymmetryReader.load()
    clip = LoopedClip(person.videos[CLEAN])
    observer = Observer(FaceModel.load(find_face_model(None)))
    with ExpressionReader(landmarker) as landmarks:

        def look(number):
            picture = np.empty(clip.shape, np.uint8)
            clip.read(number, picture)
            seen = landmarks.read(picture)
            expression = np.asarray(person.expression(number), np.float32)
            marks = seen.landmarks_px
            return Look("demo", "", HeadPose(0.0, 0.0), expression, marks, marks, seen.blendshapes, picture)

        neutral = observer.at_rest(look(REST))

        def both(*numbers):
            samples = [observer.sample(neutral, look(number), 0) for number in numbers]
            return np.mean([[reader.network(one.seen).T, one.moved_cm.T] for one in samples], 0)

        yield both


def asymmetry(moved_cm):
    return 100 * (moved_cm[:, 0] - moved_cm[:, 1]) / moved_cm.sum(1)


@pytest.mark.parametrize(("numbers", "region", "within"), [(SMILE, MOUTH, 15), (BROWS, BROW, 10), (EYES, EYE, 20)])
def test_the_weak_side_is_told_and_how_far_it_moves(read, numbers, region, within):
    said, true = read(*numbers)
    assert true[region].sum() > 3 * LEAST_CM
    assert asymmetry(true)[region] > 20
    assert abs(asymmetry(said)[region] - asymmetry(true)[region]) < within  # percentage points
    np.testing.assert_allclose(said[region].sum(), true[region].sum(), rtol=0.4)


def test_an_even_movement_is_even(read):
    said, true = read(*PUCKER)
    assert true[MOUTH].sum() > 3 * LEAST_CM
    assert said[MOUTH].sum() > LEAST_CM
    assert abs(asymmetry(said)[MOUTH]) < 15


def test_what_rests_is_not_said_to_move(read):
    assert read(640, 650)[0].sum(1).max() < LEAST_CM
    assert read(*SMILE)[0][BROW].sum() < LEAST_CM
    assert read(*BROWS)[0][MOUTH].sum() < LEAST_CM
