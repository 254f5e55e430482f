import numpy as np
import pytest

from calibration.recipes.pixel_synthetic import EXPRESSIONS, SyntheticSettings, apex, render_pairs, sitters, strength_of
from engines.emg.muscles import ACTIONS, action_columns
from engines.emg.tasks import TASK_BY_NAME
from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPE_INDEX


def test_every_task_but_rest_is_an_expression():
    assert len(EXPRESSIONS) == 16
    assert "Face-At-Rest" not in EXPRESSIONS
    assert {"happy", "sad", "angry", "fearful", "disgusted", "surprised"} < set(EXPRESSIONS)


def test_an_apex_is_the_task_s_and_grows_with_the_person_s_strength():
    usual = apex(TASK_BY_NAME["Smile-Open"], np.ones(len(ACTIONS)))
    weak = apex(TASK_BY_NAME["Smile-Open"], np.full(len(ACTIONS), 0.5))
    smile = BLENDSHAPE_INDEX["mouthSmileLeft"]
    assert usual[smile] > 0.6
    assert 0.3 * usual[smile] < weak[smile] < 0.7 * usual[smile]
    assert usual[BLENDSHAPE_INDEX["eyeBlinkLeft"]] < 0.2


def test_people_differ_their_sides_hardly():
    strengths = np.array([strength_of(number, 0) for number in range(40)])
    right, left = action_columns("zygomaticus")
    assert strengths[:, right].std() > 0.08
    assert np.abs(strengths[:, right] - strengths[:, left]).max() < 0.25
    np.testing.assert_array_equal(strength_of(3, 0), strengths[3])
    assert (strength_of(3, 1) != strengths[3]).any()


def test_settings_that_leave_too_few_are_refused():
    for wrong in ({"unseen": 60}, {"unseen": 0}, {"unseen_photos": 3}, {"photos": 9}):
        with pytest.raises(BadInput, match="ask for more photos"):
            SyntheticSettings(**wrong)


def test_an_unknown_task_is_named():
    with pytest.raises(BadInput, match="Smile-Sideways"):
        render_pairs([], ["Smile-Sideways"], 64, 0)


def test_neutral_and_apex_differ_in_the_face_only_and_the_seed_decides(sources):
    settings = SyntheticSettings(2, 1, 4, 2, 2, 64)
    people = sitters(sources, settings)
    assert [unseen for _, _, unseen in people] == [False, True]
    found = render_pairs([person[:2] for person in people[:1]], ["surprised"], 64, 0, visits=2)["surprised"]
    assert found.people == ("synthetic-000",) * 2
    gap = (found.target_px - found.neutral_px)[:, 14, 1] - (found.target_px - found.neutral_px)[:, 13, 1]
    assert gap.min() > 3  # the mouth opens
    change = np.abs(found.target.astype(int) - found.neutral).mean(-1)
    assert change[:, 40:55, 22:42].mean() > 4 * change[:, :, :6].mean()  # chin, against the wall beside the head
    assert (found.neutral[0] != found.neutral[1]).any()  # another light and pose
    again = render_pairs([person[:2] for person in people[:1]], ["surprised"], 64, 0, visits=2)["surprised"]
    np.testing.assert_array_equal(again.target, found.target)
