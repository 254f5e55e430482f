"""Pairs by number: the same picture, its own truth and its own mask, in every run and however they are shared."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from calibration.camera_variation import VariationSettings  # noqa: E402
from calibration.data.face_set import FaceRow, FaceSet, FaceSetWriter  # noqa: E402
from calibration.distributed import Ranks  # noqa: E402
from calibration.paired_faces import PairedFaces  # noqa: E402
from engines.errors import BadInput  # noqa: E402

ALONE = Ranks(torch.device("cpu"))
STILL = VariationSettings(32, turn_deg=0, zoom=0, shift=0, flip=0, strength=0, bare=0)


def faces_of(oval_faces, batch=2, ranks=ALONE, variation=STILL):
    return PairedFaces(FaceSet.open(oval_faces).select("train"), variation, 36, batch, 5, ranks)


def test_a_batch_is_what_its_number_says(oval_faces):
    one, other = faces_of(oval_faces), faces_of(oval_faces)
    other.batch(4)  # whatever came before
    for a, b in zip(one.batch(1)[:3], other.batch(1)[:3], strict=True):
        assert torch.equal(a, b)
    assert one.steps_per_epoch == 3


def test_the_truth_is_the_pictures_own(oval_faces):
    batch = faces_of(oval_faces).batch(0)
    assert batch.covered.shape == (2, 3, 32, 32)
    assert batch.mask.shape == (2, 1, 32, 32)
    change = (batch.covered - batch.clean).abs().mean(1, keepdim=True)
    assert change[batch.mask == 1].mean() > 5 * change[batch.mask == 0].mean()


def test_every_epoch_shows_every_pair(oval_faces):
    faces = faces_of(oval_faces, batch=1)
    for epoch in range(2):
        shown = {faces.batch(epoch * 6 + step).clean.numpy().tobytes() for step in range(6)}
        assert len(shown) == 6


def test_two_processes_share_a_batch(oval_faces):
    whole = faces_of(oval_faces, 2).batch(3)
    shares = [faces_of(oval_faces, 2, replace(ALONE, rank=rank, size=2)).batch(3) for rank in range(2)]
    assert torch.equal(torch.cat([share.covered for share in shares]), whole.covered)


def test_recordings_without_a_truth_are_refused(tmp_path):
    picture, row = np.zeros((36, 36, 3), np.uint8), FaceRow("a", "mmm", "clip", 0, "train")
    about = {"synthetic": False, "origin": "nobody", "licence": "none", "seed": 0}
    with FaceSetWriter(tmp_path / "real", 36, 1, 1, False, about) as faces:
        faces.add(row, picture, picture)
    with pytest.raises(BadInput, match="mc_cyclegan"):
        PairedFaces(FaceSet.open(tmp_path / "real"), STILL, 36, 1, 0, ALONE)
