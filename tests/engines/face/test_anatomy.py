import numpy as np

from engines.face.anatomy import NARROW, Anatomy, anatomy_of


def test_openings_and_edges_are_found(face_model):
    anatomy = Anatomy(face_model)
    assert [len(ring) for ring in anatomy.rings] == [42, 42, 74]
    assert anatomy.edge_cm.min() == 0
    assert anatomy.edge_cm.max() > 8
    for side in range(2):
        upper, lower = (face_model.neutral[edge] for edge in anatomy.margins[side])
        gap = np.interp(upper[3:-3, 0], lower[:, 0], lower[:, 1])
        assert (upper[3:-3, 1] > gap + 0.2).all()
        assert np.sign(upper[:, 0].mean()) == (1, -1)[side]


def test_left_mirrors_right(face_model):
    anatomy = Anatomy(face_model)
    left, right = (np.sort(face_model.neutral[anatomy.margins[side][0], 0] * sign) for side, sign in ((0, 1), (1, -1)))
    np.testing.assert_allclose(left, right, atol=0.02)


def test_details_close_their_openings(face_model):
    anatomy = Anatomy(face_model)
    for detail in (*anatomy.eyes, anatomy.lips):
        np.testing.assert_array_equal(detail.vertices[detail.local], detail.whole)
        assert (detail.whole[: detail.skin] < NARROW).all()
        assert 0 < detail.skin < len(detail.whole)


def test_one_model_is_derived_once(face_model):
    assert anatomy_of(face_model) is anatomy_of(face_model)
