"""Electrode removal on clips of a synthetic cohort: at the frames' own size after pasting, and whether it flickers.

Each frame goes the live picture's way: landmarks followed from frame to frame on the face with electrodes, a calm crop
of 1.4 face boxes, the network, its edit laid over the frame.  Peers inpaint the whole frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import cv2
import numpy as np
import numpy.typing as npt

from calibration.data.mmm import Clip, Recordings
from calibration.data.mmm_layout import FPS
from calibration.emotion_classifier import EMOTIONS, Classifier
from calibration.metrics.expression import ExpressionReader
from calibration.metrics.features import features
from calibration.metrics.flicker import Flicker
from calibration.peers import COVERED
from calibration.regions import face_oval
from calibration.restoration import WITHOUT, Number, Sample, Scores, Way, measure, measure_clean
from calibration.restoration_samples import sample_of, spread
from engines.errors import BadInput, FaceLost
from engines.face.crop import CropSettings, SmoothCrop

Picture = npt.NDArray[np.uint8]
Affine = npt.NDArray[np.float64]

FRAMES = 30  # in a row, from the middle of a clip
EVERY = 10  # of these, one is measured; flicker takes all


class Moment(NamedTuple):
    """One frame: with electrodes, without, mask, all at the frame's size.

    crop_from_frame: (2, 3), where the live crop lies.  landmarks_px: (478, 2), as followed under the electrodes.
    """

    number: int
    covered: Picture
    clean: Picture
    mask: Picture
    crop_from_frame: Affine
    landmarks_px: npt.NDArray[np.float32]


@dataclass
class ClipScores:
    """What was measured on clips, by way: pictures at the frames' size, and how steady they are."""

    native: dict[str, Scores]
    flicker: dict[str, Flicker]
    emotions: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # way -> (shown, recognised)
    lost: int = 0  # frames in which no face could be followed
    crops: list[Sample] = field(default_factory=list)  # the measured moments at the network's size


def choose_clips(recordings: Recordings, people: Sequence[str] | None, most: int) -> list[Clip]:
    """Clips with electrodes of these people, evenly spread.  Raises BadInput when there are none, or no truth."""
    clips = recordings.select(people=people, electrodes=True)
    if not recordings.synthetic:
        raise BadInput(f"{recordings.folder} holds recordings of people: nobody knows what is behind their electrodes")
    if not clips:
        raise BadInput(f"{recordings.folder} has no clips with electrodes of the people that were asked for")
    return [clips[i] for i in spread(len(clips), most)]


def moments(clip: Clip, size: int, landmarker: Path, frames: int = FRAMES) -> Iterator[Moment]:
    """The middle of a synthetic clip, frame by frame; frames in which no face can be followed are left out."""
    first = max(0, (clip.video.frames - frames) // 2)
    films = zip(clip.pictures("video"), clip.pictures("video_noelec"), clip.pictures("mask"), strict=True)
    with Follower(size, landmarker) as follower:
        for number, (covered, clean, mask) in islice(enumerate(films), first, first + frames):
            if place := follower.find(covered, number):
                yield Moment(number, covered, clean, mask, *place)


class Follower:
    """Where the live crop lies, frame by frame; one per clip, so that nothing is carried over."""

    def __init__(self, size: int, landmarker: Path) -> None:
        """size: of the crop, px.  landmarker: MediaPipe's model.  Raises BadInput."""
        self._reader = ExpressionReader(landmarker, follow=True)
        self._place = SmoothCrop(CropSettings(size=size))

    def find(self, frame: Picture, number: int) -> tuple[Affine, npt.NDArray[np.float32]] | None:
        """(crop_from_frame (2, 3), landmarks (478, 2) px); None without a usable face.  number: of the frame."""
        seen = self._reader.read(frame)
        if seen is None:
            return None
        try:
            return self._place.update(seen.landmarks_px, number / FPS), seen.landmarks_px
        except FaceLost:
            return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()


class ClipMeter:
    """Measures all ways, clip by clip."""

    def __init__(self, size: int, ways: Sequence[Way], landmarker: Path, classifier: Classifier | None = None) -> None:
        """size: of the network's picture, px.  landmarker: MediaPipe's model.  classifier: of emotions, or None."""
        self._size, self._ways, self._landmarker, self._classifier = size, ways, landmarker, classifier
        names = [way.name for way in ways]
        self.found = ClipScores({name: Scores() for name in (WITHOUT, *names)}, {name: Flicker() for name in names})

    def measure(self, clip: Clip, split: str, fold: int, reader: ExpressionReader) -> None:
        """Add a clip.  Raises BadInput when one of its files cannot be read."""
        for flicker in self.found.flicker.values():
            flicker.restart()
        for way in self._ways:
            way.restart()
        truth = clip.truth().expression
        shown: dict[str, list[Picture]] = {}
        seen = 0
        for moment in moments(clip, self._size, self._landmarker):
            pictures = self._remove(moment)
            if seen % EVERY == 0:
                self._measure(moment, pictures, (clip.id.pid, split, fold), truth[moment.number], reader)
                for name, picture in ((WITHOUT, moment.clean), *pictures.items()):
                    shown.setdefault(name, []).append(crop_of(picture, moment.crop_from_frame, self._size))
            seen += 1
        self.found.lost += min(FRAMES, clip.video.frames) - seen
        if self._classifier is not None and clip.id.task in EMOTIONS:
            for name, faces in shown.items():
                likely = EMOTIONS[int(self._classifier(np.stack(faces)).mean(0).argmax())]
                self.found.emotions.setdefault(name, []).append((clip.id.task, likely))

    def _remove(self, moment: Moment) -> dict[str, Picture]:
        """Every way's frame; how much each moved is added up."""
        crop = crop_of(moment.covered, moment.crop_from_frame, self._size)
        shape = moment.mask.shape[0], moment.mask.shape[1]
        under = face_oval(shape, moment.landmarks_px) & (moment.mask >= COVERED)
        found = {}
        for way in self._ways:
            found[way.name] = way.frame(moment.covered, moment.mask, crop, moment.crop_from_frame)
            self.found.flicker[way.name].add(found[way.name], moment.clean, under)
        return found

    def _measure(
        self,
        moment: Moment,
        pictures: dict[str, Picture],
        who: tuple[str, str, int],
        truth: npt.NDArray[np.floating],
        reader: ExpressionReader,
    ) -> None:
        full = sample_of(who, (moment.covered, moment.clean, moment.mask), reader, truth)
        self.found.native[WITHOUT].add(who[0], measure_clean(full, reader), features(full.clean))
        for name, picture in pictures.items():
            self.found.native[name].add(who[0], measure(picture, full, reader), features(picture))
        covered, clean, mask = (
            crop_of(array, moment.crop_from_frame, self._size) for array in (moment.covered, moment.clean, moment.mask)
        )
        self.found.crops.append(sample_of(who, (covered, clean, mask), reader, truth))


def crop_of(picture: Picture, crop_from_frame: Affine, size: int) -> Picture:
    """The crop of a picture (height, width, 3) or mask (height, width), uint8; bilinear, black outside."""
    found = cv2.warpAffine(picture, crop_from_frame, (size, size), flags=cv2.INTER_LINEAR)
    return np.asarray(found, np.uint8)


def recognised(answers: Sequence[tuple[str, str]]) -> dict[str, Number]:
    """Share of clips whose emotion was recognised: each emotion by its name, and "overall"."""
    found = {}
    for emotion in (*EMOTIONS, "overall"):
        right = [shown == said for shown, said in answers if emotion in (shown, "overall")]
        if right:
            found[emotion] = Number(float(np.mean(right)), None, len(right))
    return found
