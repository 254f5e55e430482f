"""Where the electrodes lie: names, sides, muscles, and room for each."""

import numpy as np
import pytest

from engines.emg.montage import FRIDLUND, KURAMOTO, Channel, Montage
from engines.errors import BadInput
from engines.face.electrode_sites import electrodes_of, partner, sites
from engines.face.mesh import LANDMARKS_68
from engines.face.skin_surface import SkinSurface


@pytest.fixture(scope="module")
def places(face_model):
    names = electrodes_of([FRIDLUND, KURAMOTO])
    return dict(zip(names, sites(SkinSurface(face_model), names).points, strict=True))


def test_both_schemes_need_62_and_a_reference():
    assert len(electrodes_of([FRIDLUND])) == 44
    assert len(electrodes_of([KURAMOTO])) == 19
    assert len(set(electrodes_of([FRIDLUND, KURAMOTO, FRIDLUND]))) == 63
    assert electrodes_of([FRIDLUND.subset(["F20", "F1"])]) == ("F20a", "F20b", "F1a", "F1b")


def test_what_nobody_knows_is_refused():
    strange = Montage("ring", (Channel("R1", "ring", "left", 0, (0.0, 0.0)),))
    with pytest.raises(BadInput, match="R1 of the montage 'ring'"):
        electrodes_of([strange])
    with pytest.raises(BadInput, match="no montage was given"):
        electrodes_of([])


def test_an_unknown_electrode_is_refused(face_model):
    with pytest.raises(BadInput, match="no electrode 'F23a'"):
        sites(SkinSurface(face_model), ["F1a", "F23a"])


def test_the_two_halves_mirror_each_other(places):
    for name, point in places.items():
        digits = int(name[1:].rstrip("ab"))
        if name in ("K19", "K20", "K24"):
            assert abs(point[0]) < 0.05
            continue
        other = f"{name[0]}{digits + 1 if digits % 2 else digits - 1}{name.lstrip('FK0123456789')}"
        assert point[0] * (1 if digits % 2 == 0 else -1) > 0.3  # even numbers are the person's left
        assert np.allclose(places[other], point * [-1, 1, 1], atol=0.06)


def test_every_electrode_has_room(places):
    points = np.array(list(places.values()))
    apart = np.linalg.norm(points[:, None] - points[None], axis=2) + 9 * np.eye(len(points))
    assert apart.min() > 0.75
    for name, point in places.items():
        other = partner(name)
        if other is not None:
            assert 0.85 < np.linalg.norm(places[other] - point) < 1.0


def test_electrodes_lie_over_their_muscles(places, face_model):
    marks = face_model.neutral[list(LANDMARKS_68)]
    brow, eye, mouth_corner, chin = marks[24], marks[42:48].mean(0), marks[54], marks[8]

    def middle(label):
        return (places[f"{label}a"] + places[f"{label}b"]) / 2

    assert middle("F2")[1] > brow[1] + 1  # medial frontalis on the forehead
    assert middle("F4")[1] > brow[1] + 0.5
    assert middle("F18")[1] < marks[46:48, 1].min()  # orbicularis oculi below the lower lid
    assert middle("F18")[0] > eye[0]
    zygomaticus = middle("F20")
    assert zygomaticus[0] > mouth_corner[0] + 1.5
    assert mouth_corner[1] < zygomaticus[1] < eye[1]
    assert chin[1] < middle("F16")[1] < mouth_corner[1] - 1.5  # mentalis on the chin
    assert abs(middle("F16")[0]) < 1.5
    assert middle("F22")[2] < zygomaticus[2]  # masseter further back
    assert mouth_corner[1] > middle("F14")[1]


def test_partners():
    assert (partner("F20a"), partner("F20b"), partner("K19")) == ("F20b", "F20a", None)
