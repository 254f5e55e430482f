import numpy as np
import pytest

from engines.errors import BadInput, BundleError
from engines.face.pixel_map import apply_pixel_map
from engines.face.practise import load_movement, painter_of
from engines.shipped import bundle_folder, shipped_bundles

SIZE = 64


@pytest.fixture
def face():
    return np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)


def test_every_shipped_movement_opens_and_changes_a_face(face):
    named = [path for path in shipped_bundles() if path.name.startswith("pixel-")]
    assert len(named) >= 16
    for path in named:
        movement = load_movement(path)
        painter = painter_of(movement, SIZE)
        landmarks = movement.rest.reshape(-1, 2) * SIZE - 0.5 if painter.needs_landmarks else None
        out = painter.paint(face, landmarks, 1.0, 1.0, np.empty_like(face))
        assert (out != face).any(), path.name


@pytest.mark.parametrize(("left", "right"), [(0.5, 0.5), (1.0, 0.0), (0.25, 0.75)])
def test_a_map_is_painted_on_both_sides_by_their_own_amounts(face, left, right):
    movement = load_movement(bundle_folder("pixel-smile"))
    painter = painter_of(movement, SIZE)
    fitted = movement.at_size(SIZE)
    alike = left == right
    wanted = apply_pixel_map(
        face, fitted if alike else fitted.on_sides(left, right), left if alike else 1.0, np.empty_like(face)
    )
    for _ in range(2):  # what was made for the amounts is kept
        assert (painter.paint(face, None, left, right, np.empty_like(face)) == wanted).all()


def test_what_does_not_fit_is_refused(face):
    with pytest.raises(BundleError, match="restore-cpu is for mc_cyclegan, not a movement"):
        load_movement(bundle_folder("restore-cpu"))
    painter = painter_of(load_movement(bundle_folder("pixel-happy")), SIZE)
    with pytest.raises(BadInput, match="painted by landmarks"):
        painter.paint(face, None, 1.0, 1.0, np.empty_like(face))
