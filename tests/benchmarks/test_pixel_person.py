"""The measurement itself: does a known answer come out?"""

from types import SimpleNamespace

import numpy as np
import pytest
from sitter import Sitter

from benchmarks.pixel_person import identity_rows, nearness_rows, still_rows, targets
from calibration.recipes.pixel_pairs import FacePairs


@pytest.fixture(scope="module")
def pairs():
    """Two people and two visits of each; everybody smiles FURTHER than most."""
    sitter = Sitter()
    rest, smile = (np.ascontiguousarray(sitter.frame(0.0, amount).image[10:266:2, 20:276:2]) for amount in (0.0, 1.0))
    points = [sitter.shares(amount) * 128 - 0.5 for amount in (0.0, 1.0)]
    four = [np.stack([array] * 4) for array in (rest, smile, *points)]
    return FacePairs(("a", "a", "b", "b"), four[0], four[1], four[2].astype(np.float32), four[3].astype(np.float32))


def test_who_a_face_is_is_compared_with_the_picture_before(pairs):
    """The fitter is told by the picture's brightness who it is; a face that nobody finds is left out."""
    sitter = Sitter()
    shade = np.uint8([2, 2, 4, 4])[:, None, None, None]  # two people: one is darker
    dark = FacePairs(pairs.people, pairs.neutral // shade, pairs.target, pairs.neutral_px, pairs.target_px)

    def fit(points, size):
        return SimpleNamespace(identity=np.full(3, points[0, 0], np.float32))

    seen = iter(range(100))

    def see(picture):
        return None if next(seen) == 4 else np.full((478, 2), picture.mean())

    rows = identity_rows(dark, sitter.population, np.zeros(468), see, SimpleNamespace(fit=fit))
    by_name = {row["between"]: row for row in rows}
    real = by_name["neutral and smiling photo of one person"]
    assert real["identity_sd"] == pytest.approx(dark.target.mean() - dark.neutral.mean(), rel=0.02)
    assert by_name["the same photo, shifted and 6 % smaller"]["people"] == 3
    assert by_name["neutral photos of two people"]["of_two_people"] == 1


def test_an_own_map_is_nearer_on_other_visits_and_targets_say_so(pairs):
    rows = nearness_rows({"Smile-Open": pairs}, np.zeros(468))
    assert rows[0]["people"] == 2
    assert rows[0]["smallest_gain_db"] > 1
    stills = still_rows(pairs.neutral[0], pairs.neutral_px[0], repeats=1)
    assert all(row["still_ms"] > 0 and row["cpu_ms"] > 0 for row in stills)
    identity = [
        {"between": name, "of_two_people": share}
        for name, share in (
            ("neutral and smiling photo of one person", 0.5),
            ("neutral photo, and with most people's smile", 0.6),
            ("neutral photo, and with the own smile", 0.4),
        )
    ]
    found = {target.what: target for target in targets(identity, rows, stills)}
    reached = [target.reached for name, target in found.items() if name.startswith("identity")]
    assert reached == [False, True]
    assert found["own map above most people's, other visits"].reached
