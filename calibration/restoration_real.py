"""Electrode removal on recordings of people: what can be said where nobody knows what is behind the electrodes.

Sets of pictures are compared, not pictures: the faces with electrodes, and those faces restored, against the same
people's faces without.  Emotions can be recognised, too, where a classifier is given.  All else needs the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from calibration.data.face_set import FaceSet
from calibration.data.mmm import Clip, Recordings
from calibration.emotion_classifier import EMOTIONS, Classifier
from calibration.metrics.features import features
from calibration.restoration import ATTACHED, WITHOUT, Scores, Way
from calibration.restoration_clips import EVERY, FRAMES, Follower, crop_of
from calibration.restoration_samples import Cut, cut_out, spread
from engines.errors import BadInput

Picture = npt.NDArray[np.uint8]

NOT_GIVEN = (
    "these are recordings of people, nobody knows what is behind their electrodes: SSIM, PSNR, GMSD, MDSI, expression "
    "recovery, flicker, kinds of skin, inpainting given the true mask and altered colours cannot be given"
)


def score_stills(faces: FaceSet, size: int, cut: Cut, most: int, ways: Sequence[Way]) -> dict[str, Scores]:
    """Features of both domains and of what the ways make of the first, at most so many pictures of each."""
    found = {name: Scores() for name in (WITHOUT, *(way.name for way in ways))}
    for i in spread(len(faces.clean_rows), most):
        clean = cut_out(np.ascontiguousarray(faces.clean[faces.clean_at[i]]), size, cut)
        found[WITHOUT].add(faces.clean_rows[i].person, {}, features(clean))
    for i in spread(len(faces.covered_rows), most):
        covered = cut_out(np.ascontiguousarray(faces.covered[faces.covered_at[i]]), size, cut)
        _restore(covered, faces.covered_rows[i].person, ways, found)
    return found


def _restore(covered: Picture, person: str, ways: Sequence[Way], found: dict[str, Scores]) -> dict[str, Picture]:
    nothing = np.zeros(covered.shape[:2], np.uint8)  # nobody knows the mask: no way that looks at it comes here
    pictures = {way.name: way.crop(covered, nothing) for way in ways}
    for name, picture in pictures.items():
        found[name].add(person, {}, features(picture))
    return pictures


def score_clips(
    recordings: Recordings,
    size: int,
    most: int,
    ways: Sequence[Way],
    landmarker: Path,
    classifier: Classifier | None = None,
    done: Callable[[], None] = lambda: None,
) -> tuple[dict[str, Scores], dict[str, list[tuple[str, str]]]]:
    """The same of clips, at most so many with electrodes and as many without, cut as the live picture is.

    Returns scores by way, and by way (emotion shown, emotion recognised) of every emotion clip.  Raises BadInput when
    there are no clips of either kind.
    """
    found = {name: Scores() for name in (WITHOUT, *(way.name for way in ways))}
    answers: dict[str, list[tuple[str, str]]] = {}
    for electrodes in (False, True):
        clips = recordings.select(electrodes=electrodes)
        if not clips:
            kind = "with" if electrodes else "without"
            raise BadInput(f"{recordings.folder} has no clips {kind} electrodes: both are compared")
        for clip in (clips[i] for i in spread(len(clips), most)):
            shown: dict[str, list[Picture]] = {}
            for crop in _crops(clip, size, landmarker):
                if electrodes:
                    pictures = _restore(crop, clip.id.pid, ways, found)
                else:
                    found[WITHOUT].add(clip.id.pid, {}, features(crop))
                    pictures = {WITHOUT: crop}
                for name, picture in pictures.items():
                    shown.setdefault(name, []).append(picture)
            if classifier is not None and clip.id.task in EMOTIONS:
                for name, pictures_shown in shown.items():
                    likely = EMOTIONS[int(classifier(np.stack(pictures_shown)).mean(0).argmax())]
                    answers.setdefault(name, []).append((clip.id.task, likely))
            done()
    if not found[ATTACHED].features or not found[WITHOUT].features:
        raise BadInput(f"no face can be followed in the clips of {recordings.folder}")
    return found, answers


def _crops(clip: Clip, size: int, landmarker: Path) -> Iterator[Picture]:
    first = max(0, (clip.video.frames - FRAMES) // 2)
    with Follower(size, landmarker) as follower:
        for number, frame in islice(enumerate(clip.pictures()), first, first + FRAMES):
            place = follower.find(frame, number)
            if place is not None and (number - first) % EVERY == 0:
                yield crop_of(frame, place[0], size)
