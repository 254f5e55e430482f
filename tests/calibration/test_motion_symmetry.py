"""Symmetry is learned so that both sides are read alike, and judged on people who did not teach."""

import json
from dataclasses import replace

import numpy as np
import pytest

from calibration import motion_symmetry
from calibration.motion_looks import MOVEMENTS, chance_look, one_sided
from calibration.motion_symmetry import Made, Sample, judge, make, show, write
from calibration.symmetry_training import SymmetryTraining, learn
from engines.bundle import read_bundle
from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPE_INDEX
from engines.face.symmetry import BUNDLE, REGIONS, SymmetryReader, feature_count
from rt import assets

QUICK = SymmetryTraining(hidden=(32,), epochs=120, drop=0.0)


def sample(rng, yaw, moment=0, person="a"):
    """How far each region moves on either side is among the features, in tenths of a cm."""
    moved = rng.uniform(0.1, 1.5, (2, len(REGIONS))).astype(np.float32)
    seen = np.zeros((2, feature_count()), np.float32)
    for side in (0, 1):
        seen[side, 10:13], seen[side, 20:23] = 10 * moved[side], 10 * moved[1 - side]
    return Sample(person, moment, yaw, 0.0, seen, moved)


def test_what_can_be_learned_is_learned_and_the_network_is_what_a_station_reads():
    rng = np.random.default_rng(0)
    looks = [sample(rng, 0.0) for _ in range(400)]
    said = []
    seen, moved = np.stack([look.seen for look in looks]), np.stack([look.moved_cm for look in looks])
    network = learn(seen, moved, QUICK, say=said.append)
    SymmetryReader(network)
    report = judge(network, [sample(rng, 0.0, moment) for moment in range(20)])
    assert {name: rows["yaw 0"]["truth"] < 5 for name, rows in report.items()} == {r.name: True for r in REGIONS}
    assert len(said) == 12
    again = learn(seen, moved, QUICK)
    np.testing.assert_array_equal(again.layers[0][0], network.layers[0][0])
    with pytest.raises(BadInput, match="there are none"):
        Made([], [], 0).learn(1, said.append)


def test_what_did_not_vary_has_no_say():
    rng = np.random.default_rng(1)
    looks = [sample(rng, 0.0) for _ in range(64)]
    seen, moved = np.stack([look.seen for look in looks]), np.stack([look.moved_cm for look in looks])
    network = learn(seen, moved, SymmetryTraining(hidden=(8,), epochs=2))
    other = seen[0].copy()
    other[:, 50:] += 5
    np.testing.assert_array_equal(network(other), network(seen[0]))
    other[:, 10] += 5
    assert (network(other) != network(seen[0])).any()


class Reads:
    """In the place of a network: it says what the samples above have among their features."""

    def __call__(self, seen):
        return seen[:, 10:13] / 10


def test_errors_are_told_by_angle_against_the_frontal_view_and_the_truth():
    rng = np.random.default_rng(1)
    front = [sample(rng, 0.0, moment) for moment in range(20)]
    longer = [one._replace(seen=1.5 * one.seen) for one in front]
    turned = [one._replace(yaw_deg=yaw) for one in longer for yaw in (20.0, -20.0)]
    other = [one._replace(yaw_deg=30.0, moment=99) for one in front]  # nobody saw these from the front
    report = judge(Reads(), [*front, *turned, *other])["mouth"]
    assert set(report) == {"yaw 0", "yaw 20"}
    assert (report["yaw 0"]["looks"], report["yaw 20"]["looks"]) == (20, 40)
    assert report["yaw 0"]["frontal"] == 0
    assert report["yaw 0"]["truth"] < 1e-3
    assert report["yaw 20"]["frontal"] < 1e-3  # both sides longer by half is as even as before
    assert "from the frontal view" in next(iter(show({"mouth": report})))


def test_movements_are_those_of_both_sides():
    for movement in MOVEMENTS:
        even, one = one_sided(movement, 0.7, 0.7), one_sided(movement, 0.0, 0.7)
        assert 0.5 < even.max() <= np.float32(0.7)
        right = [index for name, index in BLENDSHAPE_INDEX.items() if name.endswith("Right")]
        assert (one[right] == 0).all()
        left = [index for name, index in BLENDSHAPE_INDEX.items() if name.endswith("Left")]
        assert one.max() == one[left].max() == (np.float32(0.7) if even[left].any() else 0)
    rng = np.random.default_rng(2)
    looks = [chance_look(rng, 30, 15) for _ in range(200)]
    assert all(((values >= 0) & (values <= 1)).all() for _, values, _ in looks)
    assert max(abs(pose.yaw_deg) for _, _, pose in looks) > 25
    assert {movement for movement, _, _ in looks} == set(MOVEMENTS)


def test_people_are_drawn_looked_at_and_written(sources, monkeypatch, tmp_path):
    """A few pictures only: that what goes in and comes out fits, not how well it is learned."""
    if assets.find(assets.FACE_LANDMARKER) is None:
        pytest.skip("needs MYOMIRROR_ASSETS")
    monkeypatch.setattr(motion_symmetry, "ANGLES", ((0, 0), (20, 0)))
    monkeypatch.setattr(motion_symmetry, "JUDGED", ("smile",))
    monkeypatch.setattr(motion_symmetry, "_UNMOVED", 1)
    two = {name: sources.photos.landmarks_px[name] for name in sorted(sources.photos.landmarks_px)[:2]}
    sources = replace(sources, photos=replace(sources.photos, landmarks_px=two))
    said = []
    made = make(sources, assets.find(assets.FACE_LANDMARKER), 1, 3, said.append)
    assert len(said) == 2
    assert {one.yaw_deg for one in made.held_out} == {0.0, 20.0}
    assert not {one.person for one in made.held_out} & {one.person for one in made.teaching}
    network = made.learn(3, said.append)
    manifest = write(network, made, 3, tmp_path / "bundle")
    assert manifest.training.synthetic
    assert read_bundle(tmp_path / "bundle", "face_symmetry").manifest.sizes["looks"] == len(made.teaching)
    SymmetryReader.load(tmp_path / "bundle")
    json.dumps(judge(network, made.held_out))


def test_what_ships_was_learned_from_people_who_do_not_exist_as_such():
    manifest = read_bundle(BUNDLE).manifest
    assert manifest.training.synthetic
    assert manifest.training.people > 70
    assert "held out" in manifest.metrics["mouth_truth"].on
