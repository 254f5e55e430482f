import numpy as np
import pytest

from calibration.data.clip_video import ClipWriter, read_pictures, video_facts
from engines.errors import BadInput

SIZE = (64, 48)


def scene(frames=8):
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    for n in range(frames):
        yield np.stack([x * 3 + n, y * 4, 128 + 40 * np.sin((x + n) / 9)], axis=2).astype(np.uint8)


def masks(frames=8):
    rng = np.random.default_rng(5)
    return [rng.integers(0, 256, (SIZE[1], SIZE[0])).astype(np.uint8) for _ in range(frames)]


def write(path, pictures, kind="picture", fps=30):
    with ClipWriter(path, SIZE, fps, kind) as video:
        for picture in pictures:
            video.write(picture)
    return path


def test_pictures_come_back_nearly_as_they_were(tmp_path):
    path = write(tmp_path / "a.mp4", scene())
    assert video_facts(path) == (8, 30.0, SIZE)
    found = list(read_pictures(path))
    assert len(found) == 8
    for picture, same in zip(found, scene(), strict=True):
        assert np.abs(picture.astype(int) - same).mean() < 3


def test_masks_are_kept_to_a_thirtieth_and_their_ends_exactly(tmp_path):
    path = write(tmp_path / "m.mkv", masks(), "mask")
    assert video_facts(path) == (8, 30.0, SIZE)
    found = np.stack(list(read_pictures(path, "mask"))).astype(int)
    wanted = np.stack(masks()).astype(int)
    assert np.abs(found - wanted).max() <= 8
    assert set(np.unique(found)) == set(range(0, 256, 17))
    assert (found[wanted == 255] == 255).all()
    assert (found[wanted == 0] == 0).all()


def test_a_mask_that_was_read_is_written_without_loss(tmp_path):
    first = list(read_pictures(write(tmp_path / "a.mkv", masks(), "mask"), "mask"))
    second = list(read_pictures(write(tmp_path / "b.mkv", first, "mask"), "mask"))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(("kind", "pictures"), [("picture", scene), ("mask", masks)])
def test_the_same_pictures_give_the_same_bytes_for_the_owner_only(tmp_path, kind, pictures):
    first, second = (write(tmp_path / f"{n}.mp4", pictures(), kind) for n in (1, 2))
    assert first.read_bytes() == second.read_bytes()
    assert first.stat().st_mode & 0o777 == 0o600


def test_what_lies_in_memory_does_not_matter(tmp_path):
    """An encoder that reads what it has not written gives other bytes after other work (x264's mbtree did)."""
    rng = np.random.default_rng(0)
    size = (286, 286)
    y, x = np.mgrid[:286, :286]
    moving = [np.stack([(x + n) % 200, (y + n) % 180, 0 * x + 90], axis=2).astype(np.uint8) for n in range(12)]
    found = set()
    for turn in range(4):
        for name, pictures in ((f"{turn}.mp4", moving), (f"noise{turn}.mp4", rng.integers(0, 256, (4, 286, 286, 3)))):
            with ClipWriter(tmp_path / name, size, 30) as video:
                for picture in pictures:
                    video.write(np.ascontiguousarray(picture, np.uint8))
        found.add((tmp_path / f"{turn}.mp4").read_bytes())
    assert len(found) == 1


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "text.mp4").write_text("nothing to see")
    with pytest.raises(BadInput, match="not a readable video"):
        video_facts(tmp_path / "text.mp4")
    with pytest.raises(BadInput, match="does not exist"):
        list(read_pictures(tmp_path / "none.mp4"))


def test_a_video_that_breaks_off_is_refused_or_short(tmp_path):
    path = write(tmp_path / "m.mkv", masks(30), "mask")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert len(list(read_pictures(path, "mask"))) < 30


def test_a_writer_that_failed_raises_the_first_error(tmp_path):
    with pytest.raises(RuntimeError, match="first"), ClipWriter(tmp_path / "a.mp4", SIZE, 30):
        raise RuntimeError("first")
