"""Electrodes on a rendered head: what they cover, how they follow it, and that nothing is left to chance."""

import numpy as np
import pytest

from engines.emg.montage import FRIDLUND, KURAMOTO, Channel, Montage
from engines.errors import BadInput
from engines.face import tapes, wires
from engines.face.camera import Camera, rotation_from_vector
from engines.face.electrode_style import ElectrodeStyle
from engines.face.light import Light
from engines.face.mesh_electrodes import MeshElectrodes, warm_up
from engines.face.raster import Raster

HEIGHT, WIDTH, SCALE = 300, 320, 14.0
PLAIN = ElectrodeStyle(error_cm=0.0, cap=None)
TAPE_ONLY = 0.34  # cm from an electrode's middle in which there is tape for sure


@pytest.fixture(scope="module")
def skin(face_model):
    return np.ascontiguousarray(face_model.triangles[(face_model.triangles < 6706).all(1)])


@pytest.fixture(scope="module")
def seen(face_model, skin):
    """Picture, projected vertices and raster of a grey head."""

    def render(turn=(0.0, 0.0, 0.0), expression=None, scale=SCALE, size=(HEIGHT, WIDTH), at=(0.0, 0.0)):
        centre = np.array([size[1] / 2 + at[0], 0.45 * size[0] + at[1]])
        camera = Camera(scale, rotation_from_vector(np.array(turn)), centre)
        vertices = face_model.vertices([], face_model.weights(expression or {}))
        projected = camera.project(vertices)
        raster = Raster(*size)
        raster.draw(projected, skin)
        picture = np.full((*size, 3), 90, np.uint8)
        picture[raster.triangle >= 0] = 110, 130, 180
        return picture, projected, raster

    return render


@pytest.fixture(scope="module")
def plain(face_model):
    return MeshElectrodes(face_model, 1, style=PLAIN)


def draw(electrodes, scene, **more):
    picture = scene[0].copy()
    mask = electrodes.draw(picture, *scene[1:], **more)
    return picture, mask


def test_names(face_model, plain):
    assert len(plain.labels) == len(set(plain.labels)) == 63
    only = MeshElectrodes(face_model, 1, [KURAMOTO], PLAIN)
    assert len(only.labels) == 19
    assert {label[0] for label in only.labels} == {"K"}
    some = MeshElectrodes(face_model, 1, [FRIDLUND], ElectrodeStyle(missing=0.9))
    assert 1 <= len(some.labels) < 15


def test_an_unknown_montage_is_refused(face_model):
    strange = Montage("ring", (Channel("R1", "ring", "left", 0, (0.0, 0.0)),))
    with pytest.raises(BadInput, match="R1 of the montage 'ring'"):
        MeshElectrodes(face_model, 1, [strange])
    with pytest.raises(BadInput, match="whole head"):
        MeshElectrodes(face_model.part("face"), 1)


@pytest.mark.parametrize("style", [PLAIN, None])
def test_only_shadows_lie_outside_the_mask_and_they_are_counted(face_model, seen, style):
    scene = seen((0.0, 0.2, 0.0))
    shadow = np.zeros((HEIGHT, WIDTH), np.uint8)
    picture, mask = draw(MeshElectrodes(face_model, 4, style=style), scene, out_shadow=shadow)
    before, after = scene[0].astype(int), picture.astype(int)
    free = mask == 0
    assert (after[free] <= before[free]).all()  # a shadow never brightens
    expected = before[..., 0] * (1 - shadow / 255)
    assert np.abs(after[..., 0] - expected)[free].max() <= 4  # rounded once for each shadow that meets there
    assert (after[free & (shadow == 0)] == before[free & (shadow == 0)]).all()
    assert shadow.max() < 0.75 * 255
    strong = np.abs(after - before).max(2) > 100
    assert (mask[strong] > 60).all()
    assert 0.03 < (mask > 127).mean() < 0.3


def test_the_mask_is_the_share_of_what_covers(face_model, seen):
    """Where it says 255 nothing of the picture is left; where less, accordingly more."""
    electrodes = MeshElectrodes(face_model, 4, style=ElectrodeStyle(opacity=0.9, cap=None))
    scene = seen()
    other = scene[0].copy()
    other[:] = np.where(other > 100, other - 50, other)  # the same light: all skin is darker by the same
    results = [draw(electrodes, (picture, *scene[1:])) for picture in (scene[0], other)]
    assert np.array_equal(results[0][1], results[1][1])
    mask = results[0][1]
    left = (scene[0].astype(int) - other)[..., 0]
    through = np.abs(results[0][0].astype(int) - results[1][0])[..., 0]
    full = (mask == 255) & (left > 0)
    assert np.median(through[full]) <= 1
    half = (mask > 60) & (mask < 200) & (left > 0)
    assert np.abs(through[half] - (1 - mask[half] / 255) * left[half]).mean() < 8


def test_there_is_tape_at_every_site_that_faces_the_viewer(plain, seen):
    scene = seen()
    _, mask = draw(plain, scene)
    where = plain.positions_px(scene[1])
    for label, (x, y, z) in zip(plain.labels, where, strict=True):
        column, row = int(np.rint(x)), int(np.rint(y))
        if abs(scene[2].depth[row, column] - z) < 3 and label not in ("F21a", "F21b", "F22a", "F22b", "K17", "K18"):
            assert mask[row - 1 : row + 2, column - 1 : column + 2].min() > 200, label


@pytest.mark.parametrize(
    "expression", [{"jawOpen": 0.8}, {"mouthSmile_L": 1.0}, {"browInnerUp_L": 1, "browInnerUp_R": 1}]
)
def test_electrodes_move_with_the_skin(plain, seen, expression):
    """Positions are their barycentric points on the moved mesh, and the tapes are drawn there."""
    rest, moved = seen(), seen(expression=expression)
    step = plain.positions_px(moved[1]) - plain.positions_px(rest[1])
    assert np.abs(step[:, :2]).max() > 3
    followed = int(np.argmax(np.abs(step[:, :2]).max(1)))
    x, y, _ = plain.positions_px(moved[1])[followed]
    _, mask = draw(plain, moved)
    assert mask[int(np.rint(y)), int(np.rint(x))] > 200


def test_what_is_turned_away_is_hidden(plain, seen):
    """The person turns to the picture's right: the left cheek's electrodes (picture's right) go out of sight."""
    scene = seen((0.0, 1.2, 0.0))
    normal = tapes.facing_of
    bent = np.zeros((63, 6, 3), np.float32)
    tapes.bend_patches(scene[1], plain._vertices, plain._shares, bent)
    facing = dict(zip(plain.labels, [normal(one) for one in bent], strict=True))
    assert facing["F20a"] < 0.05 < 0.5 < facing["F19a"]
    _, mask = draw(plain, scene)
    where = dict(zip(plain.labels, plain.positions_px(scene[1]), strict=True))
    x, y, _ = where["F19a"]
    assert mask[int(np.rint(y)), int(np.rint(x))] > 200
    from_behind = seen((0.0, np.pi, 0.0))
    picture = from_behind[0]
    tape = np.abs(draw(plain, from_behind)[0].astype(int) - picture).max(2)[:160]  # above what hangs
    assert (tape > 60).sum() < 40


def test_a_near_hand_hides_electrodes(plain, seen):
    picture, projected, raster = seen()
    raster.depth[:150] = 1e6  # read-only by agreement; the test's own hand before the upper face
    _, mask = draw(plain, (picture, projected, raster))
    assert mask[:150].max() == 0
    assert mask[150:].max() == 255


def test_tapes_scale_with_the_face(plain, seen):
    small = draw(plain, seen(scale=7.0, size=(150, 160)))[1]
    large = draw(plain, seen(scale=14.0, size=(300, 320)))[1]
    assert (small / 255).mean() == pytest.approx((large / 255).mean(), rel=0.12)


def test_light_from_the_side_shades_tapes(plain, seen, face_model):
    picture, projected, raster = seen()
    x = np.arange(WIDTH)[None, :, None]
    lit = np.clip(picture * (0.5 + 0.9 * x / WIDTH), 0, 255).astype(np.uint8)
    result, mask = draw(plain, (lit, projected, raster), light=Light((0.8, 0.2, 1.0)))
    tape = (mask == 255) & (result.min(2) > 110)
    left, right = tape & (x[..., 0] < 130), tape & (x[..., 0] > 190)
    assert np.median(result[right]) > np.median(result[left]) + 25


def test_darker_light_darkens_electrodes(plain, seen):
    scene = seen()
    bright, dim = (draw(plain, scene, light=Light(intensity=value))[0] for value in (1.0, 0.5))
    full = draw(plain, scene)[1] == 255
    assert dim[full].mean() == pytest.approx(0.5 * bright[full].mean(), rel=0.08)


def test_the_same_seed_gives_the_same_bytes(face_model, seen):
    scene = seen((0.05, 0.1, 0.0), {"jawOpen": 0.3})
    runs = [draw(MeshElectrodes(face_model, seed), scene, t_s=1.5) for seed in (8, 8, 9)]
    assert np.array_equal(runs[0][0], runs[1][0])
    assert np.array_equal(runs[0][1], runs[1][1])
    assert not np.array_equal(runs[0][1], runs[2][1])


def test_a_frame_does_not_depend_on_those_before(plain, seen):
    scene, other = seen(), seen((0.1, 0.5, 0.0))
    first = draw(plain, scene, t_s=2.0)
    draw(plain, other, t_s=7.0)
    draw(plain, seen(size=(200, 220)))
    again = draw(plain, scene, t_s=2.0)
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])


def test_cables_sway_slowly_and_without_jumps(plain, seen):
    scene = seen()
    masks = [draw(plain, scene, t_s=t)[1].astype(int) for t in (0.0, 1 / 30, 1.0)]
    chest = np.s_[240:]
    step, later = (np.abs(masks[0] - mask)[chest].mean() for mask in masks[1:])
    assert 0 < step < 0.35 * later
    face = np.s_[60:150, 100:220]
    assert np.abs(masks[0] - masks[2])[face].max() == 0  # what lies on the face keeps still


def test_styles_differ_widely(face_model, seen):
    scene = seen()
    covers = [(draw(MeshElectrodes(face_model, seed), scene)[1] > 127).mean() for seed in range(6)]
    assert max(covers) > 1.4 * min(covers)


def test_put_on_with_an_error_but_never_over_eyes_or_lips(face_model, plain, seen):
    _, projected, _ = seen()
    hurried = MeshElectrodes(face_model, 3, style=ElectrodeStyle(error_cm=0.5, cap=None))
    off = np.linalg.norm((hurried.positions_px(projected) - plain.positions_px(projected)) / SCALE, axis=1)
    assert 0.2 < np.median(off) < 1.0
    from engines.face.mesh import LANDMARKS_68

    edges = projected[list(LANDMARKS_68[36:60])] / SCALE
    for place in hurried.positions_px(projected) / SCALE:
        assert np.linalg.norm(edges - place, axis=1).min() > 0.5


def test_a_band_over_the_hairline(face_model, seen):
    scene = seen((0.2, 0.0, 0.0))  # bowed a little, so that the band is well in the picture
    electrodes = MeshElectrodes(face_model, 1, style=ElectrodeStyle(error_cm=0, cap=(200.0, 60.0, 40.0)))
    picture, mask = draw(electrodes, scene)
    blue = (picture[..., 0] > picture[..., 2].astype(int) + 60) & (mask == 255)  # nothing else is of its colour
    eye_y = scene[1][face_model.regions["eyeball_left"][0], 1]
    assert np.nonzero(blue)[0].max() < eye_y - 2.5 * SCALE  # above the brows
    assert blue[:, WIDTH // 2].sum() == pytest.approx(2.6 * SCALE, rel=0.3)
    assert np.ptp(np.nonzero(blue)[1]) > 10 * SCALE


def test_arrays_that_do_not_fit_are_refused(plain, seen):
    picture, projected, raster = seen()
    with pytest.raises(BadInput, match="the picture must be"):
        plain.draw(picture[:100], projected, raster)
    with pytest.raises(BadInput, match="all vertices of the whole head, found 100"):
        plain.draw(picture, projected[:100], raster)
    with pytest.raises(BadInput, match="the output must be"):
        plain.draw(picture, projected, raster, out_mask=np.zeros((4, 4), np.uint8))
    frozen = picture.copy()
    frozen.flags.writeable = False
    with pytest.raises(BadInput, match="give a writable picture"):
        plain.draw(frozen, projected, raster)


def test_warming_up_compiles_all_that_drawing_needs(face_model, seen):
    warm_up(face_model)
    kernels = [tapes.lay_tapes, tapes.bend_patches, wires.lay_wires, wires.shade_wires, wires.darken, wires.views]
    known = [len(kernel.signatures) for kernel in kernels]
    for seed in range(4):
        draw(MeshElectrodes(face_model, seed), seen())
    assert [len(kernel.signatures) for kernel in kernels] == known
