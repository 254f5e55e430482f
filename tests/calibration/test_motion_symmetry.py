"""Symmetry is learned so that both sides are read alike, and judged on people who did not teach."""

import json
from dataclasses import replace

import numpy as np
import pytest

from calibration import motion_symmetry
from calibration.motion_looks import MOVEMENTS, chance_look, one_sided
from calibration.motion_symmetry import Sample, judge, learn, make, show, write
from engines.bundle import read_bundle
from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPE_INDEX
from engines.face.symmetry import BUNDLE, REGIONS, SymmetryReader, feature_count
from rt import assets


def sample(rng, yaw, moment=0, person="a", noise=0.0):
    """What is seen is a fixed linear picture of what is done, plus noise."""
    seen, true = [], []
    for k, region in enumerate(REGIONS):
        way = rng.normal(0, 0.3, (2, len(region.right), 3)) * rng.uniform(0.2, 1.5, (2, 1, 1))
        mix = np.random.default_rng(k).normal(0, 1, (3 * len(region.right), feature_count(region)))
        seen.append(way.reshape(2, -1) @ mix + noise * rng.normal(0, 1, (2, feature_count(region))))
        true.append(way)
    return Sample(person, moment, yaw, 0.0, tuple(seen), tuple(true))


def test_what_is_linear_is_learned_and_the_table_is_what_a_station_reads():
    rng = np.random.default_rng(0)
    tables = learn([sample(rng, 0.0) for _ in range(60)], strength=1e-3)
    SymmetryReader(tables)
    report = judge(tables, [sample(rng, 0.0, moment) for moment in range(20)])
    assert {name: rows["yaw 0"]["truth"] < 1 for name, rows in report.items()} == {r.name: True for r in REGIONS}
    with pytest.raises(BadInput, match="there are none"):
        learn([])


def test_errors_are_told_by_angle_against_the_frontal_view_and_the_truth():
    rng = np.random.default_rng(1)
    tables = learn([sample(rng, 0.0) for _ in range(60)], strength=1e-3)
    front = [sample(rng, 0.0, moment) for moment in range(20)]
    longer = [one._replace(seen=tuple(1.5 * seen for seen in one.seen)) for one in front]
    turned = [one._replace(yaw_deg=yaw) for one in longer for yaw in (20.0, -20.0)]
    other = [one._replace(yaw_deg=30.0, moment=99) for one in front]  # nobody saw these from the front
    report = judge(tables, [*front, *turned, *other])["mouth"]
    assert set(report) == {"yaw 0", "yaw 20"}
    assert (report["yaw 0"]["looks"], report["yaw 20"]["looks"]) == (20, 40)
    assert report["yaw 0"]["frontal"] == 0
    assert report["yaw 20"]["frontal"] < 1  # both sides longer by half is as even as before
    assert "from the frontal view" in next(iter(show({"mouth": report})))


def test_movements_are_those_of_both_sides():
    for movement in MOVEMENTS:
        even, one = one_sided(movement, 0.7, 0.7), one_sided(movement, 0.0, 0.7)
        assert even.max() == pytest.approx(0.7)
        right = [index for name, index in BLENDSHAPE_INDEX.items() if name.endswith("Right")]
        assert (one[right] == 0).all()
        assert one.max() == pytest.approx(0.7)
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
    tables = learn(made.teaching)
    manifest = write(tables, made, 3, tmp_path / "bundle")
    assert manifest.training.synthetic
    assert read_bundle(tmp_path / "bundle", "face_symmetry").manifest.sizes["looks"] == len(made.teaching)
    SymmetryReader.load(tmp_path / "bundle")
    json.dumps(judge(tables, made.held_out))


def test_what_ships_was_learned_from_people_who_do_not_exist_as_such():
    manifest = read_bundle(BUNDLE).manifest
    assert manifest.training.synthetic
    assert manifest.training.people > 70
    assert "held out" in manifest.metrics["mouth_truth"].on
