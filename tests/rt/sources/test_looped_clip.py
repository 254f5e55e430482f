"""Any number gives its own picture, whatever was read before it: checked with pictures that carry their number."""

import io

import av
import numpy as np
import pytest

from rt.errors import BadSettings
from rt.sources.looped_clip import LoopedClip

FRAMES, HEIGHT, WIDTH = 31, 48, 64


def grey(number):
    return 20 + 7 * number


def encoded(codec="libx264", options=None, pix_fmt="yuv420p", width=WIDTH):
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=30, options=options or {"bf": "3", "b-adapt": "0", "crf": "12"})
        stream.width, stream.height, stream.pix_fmt = width, HEIGHT, pix_fmt
        stream.codec_context.gop_size = 10
        for number in range(FRAMES):
            picture = np.full((HEIGHT, width, 3), grey(number), np.uint8)
            picture[:, : width // 2, 0] //= 2  # a yellow left half, so that the colour planes count
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "bgr24").reformat(format=pix_fmt)))
        container.mux(stream.encode(None))
    return file.getvalue()


@pytest.fixture(scope="module", params=["libx264", "libvpx-vp9"])
def video(request):
    """Pictures out of order (H.264's B-frames), and packets that show nothing (VP9's); AV1 is the shipped clip's."""
    return encoded(request.param, None if request.param == "libx264" else {"crf": "10", "b:v": "0", "deadline": "good"})


def number_of(picture):
    return round((float(np.median(picture[:, WIDTH // 2 + 4 :])) - 20) / 7)


def test_pictures_in_turn_and_round_again(video):
    clip, out = LoopedClip(video), np.empty((HEIGHT, WIDTH, 3), np.uint8)
    assert (clip.frames, clip.fps, clip.shape) == (FRAMES, 30.0, (HEIGHT, WIDTH, 3))
    for number in range(2 * FRAMES + 3):
        clip.read(number, out)
        assert number_of(out) == number % FRAMES
    blue, green = out[:, 4 : WIDTH // 2 - 4, 0].astype(int).mean(), out[:, 4 : WIDTH // 2 - 4, 1].mean()
    assert blue == pytest.approx(green / 2, abs=5)


def test_any_order_gives_the_same_pictures(video):
    clip, out = LoopedClip(video), np.empty((HEIGHT, WIDTH, 3), np.uint8)
    in_turn = []
    for number in range(FRAMES):
        clip.read(number, out)
        in_turn.append(out.copy())
    for number in [*np.random.default_rng(0).integers(0, 3 * FRAMES, 60).tolist(), 30, 30, 29, 0, 31, 62]:
        clip.read(number, out)
        np.testing.assert_array_equal(out, in_turn[number % FRAMES])


def test_the_buffer_is_the_callers_and_nothing_large_is_allocated(video):
    import tracemalloc

    clip, out = LoopedClip(video), np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    clip.read(0, out)
    tracemalloc.start()
    for number in range(1, 20):
        clip.read(number, out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert out.any()
    assert peak < out.nbytes


@pytest.mark.parametrize(
    "video", [b"", b"no video", encoded()[:200], encoded(width=WIDTH + 2), encoded(pix_fmt="yuv444p")]
)
def test_what_is_no_such_video_is_refused(video):
    with pytest.raises(BadSettings, match="cannot be decoded"):
        LoopedClip(video)


def test_a_damaged_picture_is_a_sentence_and_the_next_key_frame_goes_on():
    clip, out = LoopedClip(encoded(options={"bf": "0"})), np.empty((HEIGHT, WIDTH, 3), np.uint8)
    clip._packets[3:8] = clip._packets[:1] * 5
    with pytest.raises(BadSettings, match="picture 3 is damaged"):
        for number in range(10):
            clip.read(number, out)
    clip.read(11, out)
    assert number_of(out) == 11
