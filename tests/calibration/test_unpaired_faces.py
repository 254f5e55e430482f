import numpy as np
import pytest

torch = pytest.importorskip("torch")

from calibration.data.face_set import FaceSet  # noqa: E402
from calibration.distributed import Ranks  # noqa: E402
from calibration.planes import pictures_of, planes_of  # noqa: E402
from calibration.unpaired_faces import UnpairedFaces  # noqa: E402
from rt.errors import BadSettings  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture
def faces(oval_faces):
    return FaceSet.open(oval_faces).select("train")


def sources(batches, faces, domain):
    """Which stored picture each one was cut from: the only one it lies in, mirrored or not."""
    stored, rows = getattr(faces, domain), getattr(faces, f"{domain}_at")
    found = []
    for picture in np.concatenate([pictures_of(getattr(batch, domain)) for batch in batches]):
        views, spots = (picture, picture[:, ::-1]), [(y, x) for y in range(5) for x in range(5)]
        cuts = {row: [stored[row][y : y + 32, x : x + 32] for y, x in spots] for row in rows}
        hits = [row for row in rows if any((cut == view).all() for cut in cuts[row] for view in views)]
        assert len(hits) == 1
        found.append(int(hits[0]))
    return found


def test_the_same_number_gives_the_same_batch(faces):
    one, other = (UnpairedFaces(faces, 32, 36, 2, 1, Ranks(CPU)) for _ in range(2))
    for number in (5, 0, 2):  # in any order
        assert all(torch.equal(a, b) for a, b in zip(one.batch(number)[:2], other.batch(number)[:2], strict=True))
    assert not torch.equal(one.batch(0).covered, UnpairedFaces(faces, 32, 36, 2, 2, Ranks(CPU)).batch(0).covered)


def test_an_epoch_shows_every_picture_of_the_larger_domain_once(faces):
    drawn = UnpairedFaces(faces, 32, 36, 2, 1, Ranks(CPU))
    assert drawn.steps_per_epoch == 3
    first, second = ([drawn.batch(n) for n in range(k, k + 3)] for k in (0, 3))
    assert sorted(sources(first, faces, "covered")) == sorted(faces.covered_at) == list(range(6))
    assert sources(first, faces, "covered") != sources(second, faces, "covered")


def test_the_other_domain_is_drawn_independently(faces):
    drawn = UnpairedFaces(faces, 32, 36, 1, 1, Ranks(CPU))
    batches = [drawn.batch(number) for number in range(30)]
    a, b = (sources(batches, faces, domain) for domain in ("covered", "clean"))
    assert set(b) == set(range(6))
    assert np.mean(np.array(a) == np.array(b)) < 0.5


def test_pictures_are_cut_and_mirrored(faces):
    drawn = UnpairedFaces(faces, 32, 36, 1, 1, Ranks(CPU))
    shown = {drawn.batch(number).covered.numpy().tobytes() for number in range(60)}
    assert len(shown) > 40


def test_loaded_at_another_size(faces):
    batch = UnpairedFaces(faces, 64, 72, 2, 1, Ranks(CPU)).batch(0)
    assert batch.covered.shape == batch.clean.shape == (2, 3, 64, 64)
    assert batch.covered.dtype == torch.float32
    assert -1.3 < float(batch.covered.min()) < float(batch.covered.max()) <= 1
    whole = UnpairedFaces(faces, 36, 36, 1, 1, Ranks(CPU)).batch(0).covered
    stored = planes_of([faces.covered[row] for row in faces.covered_at])
    assert any(torch.equal(whole[0], s) or torch.equal(whole[0], s.flip(2)) for s in stored)


def test_processes_share_the_batch_of_one(faces):
    whole = UnpairedFaces(faces, 32, 36, 4, 1, Ranks(CPU)).batch(1)
    parts = [UnpairedFaces(faces, 32, 36, 4, 1, Ranks(CPU, rank, 2)).batch(1) for rank in range(2)]
    assert torch.equal(torch.cat([part.covered for part in parts]), whole.covered)
    assert torch.equal(torch.cat([part.clean for part in parts]), whole.clean)
    with pytest.raises(BadSettings, match="batch of 3 cannot be shared by 2 processes: --set batch=4"):
        UnpairedFaces(faces, 32, 36, 3, 1, Ranks(CPU, 0, 2))


def test_a_batch_larger_than_the_set(faces):
    assert UnpairedFaces(faces, 32, 36, 16, 1, Ranks(CPU)).batch(0).covered.shape[0] == 16
