"""The peers that paste-back is compared with draw the same picture."""

import numpy as np
import pytest

from benchmarks.paste_speed import SHAPE, SIZE, careful, plain, some_edit
from engines.face.crop import crop_from_pose
from engines.face.edit_paste import EditPaste


@pytest.mark.parametrize("peer", [plain, careful])
@pytest.mark.parametrize("share", [0.25, 1.0])
def test_the_same_picture(peer, share):
    """Up to the crop's faded border, and to where colours differ around a soft mask, which theirs does not weigh."""
    matrix = crop_from_pose(np.array([320.0, 240.0, np.log(420.0), 0.1]), SIZE)
    colour = np.full((SIZE, SIZE, 3), (40, 160, 220), np.uint8)
    mine = np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.uint8)
    theirs = mine.copy()
    EditPaste(SIZE).lay(mine, colour, some_edit(share), matrix)
    peer(theirs, colour, some_edit(share), matrix)()
    inside = np.s_[80:400, 160:480]
    difference = np.abs(mine[inside].astype(int) - theirs[inside])
    assert difference.max() <= 4  # OpenCV stretches in steps of 1/32 px
    assert difference.mean() < 0.3


def test_the_share_is_what_it_says():
    assert abs((some_edit(0.25) > 0).mean() - 0.25) < 0.02
    assert (some_edit(1.0) == 255).all()
