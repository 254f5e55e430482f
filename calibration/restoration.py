"""How well electrodes are removed, picture by picture: what is compared, in which skin, and what comes out as a row.

Every way of removing them gets the same pictures, and every measure is against the very moment without electrodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from calibration.metrics.expression import ExpressionReader, Reading, expression_error
from calibration.metrics.features import features
from calibration.metrics.frechet import frechet_distance
from calibration.metrics.gmsd import gmsd
from calibration.metrics.mdsi import mdsi
from calibration.metrics.psnr import psnr_db
from calibration.metrics.ssim import ssim_map
from calibration.peers import Inpainting
from calibration.regions import Regions
from engines.face.edit_paste import EditPaste
from engines.face.restorer import Restorer

Picture = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Affine = npt.NDArray[np.float64]

BEST_DB = 60.0  # what equal skin counts as in a mean; below the rounding error of bytes (58.9 dB) nothing can be told
_SHOWN_CHANGE = 4  # times brighter
FEWEST_PX = 20  # a region smaller than this is not measured

WITHOUT, ATTACHED = "without", "attached"


class Sample(NamedTuple):
    """One face to remove electrodes from.

    covered, clean: (size, size, 3) uint8 BGR.  mask: (size, size) uint8, 255 = covered.  reading: of the clean picture,
    None where no face was found.  truth: (52,) the expression that was rendered, None where nobody knows.
    """

    person: str
    split: str
    fold: int
    covered: Picture
    clean: Picture
    mask: Plane
    regions: Regions
    reading: Reading | None = None
    truth: npt.NDArray[np.floating] | None = None


class Way(Protocol):
    """A way of removing electrodes."""

    name: str

    def crop(self, covered: Picture, mask: Plane) -> Picture:
        """A face crop without electrodes.  mask: the truth, which only peers may look at."""
        ...

    def frame(self, covered: Picture, mask: Plane, crop: Picture, crop_from_frame: Affine) -> Picture:
        """The whole frame without them; crop: what `warp` cut out of it with the (2, 3) crop_from_frame.

        Frames of a clip come in order.
        """
        ...

    def restart(self) -> None:
        """The next frame is another clip's."""
        ...


class Attached:
    """Removes nothing."""

    name = ATTACHED

    def crop(self, covered: Picture, mask: Plane) -> Picture:
        """The picture as it is."""
        return covered

    def frame(self, covered: Picture, mask: Plane, crop: Picture, crop_from_frame: Affine) -> Picture:
        """The frame as it is."""
        return covered

    def restart(self) -> None:
        """Nothing is carried over."""


class Inpainted:
    """A peer that knows the true mask."""

    def __init__(self, how: Inpainting) -> None:
        self.how = how
        self.name = {"telea": "Telea, true mask", "navier-stokes": "Navier-Stokes, true mask"}[how.method]

    def crop(self, covered: Picture, mask: Plane) -> Picture:
        """The crop, inpainted."""
        return self.how.fill(covered, mask)

    def frame(self, covered: Picture, mask: Plane, crop: Picture, crop_from_frame: Affine) -> Picture:
        """The frame, inpainted at its own size."""
        return self.how.fill(covered, mask)

    def restart(self) -> None:
        """Nothing is carried over."""


class Removed:
    """A bundle, exactly as the live picture runs it."""

    def __init__(self, name: str, restorer: Restorer, has_edit: bool) -> None:
        """has_edit: whether the network says where it edits."""
        self.name, self.has_edit, self._restorer = name, has_edit, restorer
        self._paste = EditPaste(restorer.size)
        self._follows = False

    def crop(self, covered: Picture, mask: Plane) -> Picture:
        """The network's crop."""
        return self._restorer.run(covered)[0].copy()

    def edit(self, covered: Picture) -> Plane:
        """(size, size) uint8: where it edits, 255 = all of it; of a network that does not say, how much it changed."""
        restored, _, edit = self._restorer.run(covered)
        if self.has_edit:
            return edit.copy()
        changed = cv2.absdiff(restored, covered).max(2)
        return np.asarray(np.minimum(changed.astype(np.uint16) * _SHOWN_CHANGE, 255), np.uint8)

    def frame(self, covered: Picture, mask: Plane, crop: Picture, crop_from_frame: Affine) -> Picture:
        """The frame with the edit laid over it at its own size."""
        _, colour, edit = self._restorer.run(crop, self._follows)
        self._follows = True
        out = covered.copy()
        self._paste.lay(out, colour, edit, crop_from_frame)
        return out

    def restart(self) -> None:
        """The next frame is not steadied by this one."""
        self._follows = False


@dataclass(frozen=True)
class Number:
    """A measure over pictures: the mean of all, the standard deviation of people's means, how many pictures."""

    mean: float
    sd: float | None
    pictures: int


Row = dict[str, Number]


@dataclass
class Scores:
    """What was measured of one way, picture by picture; nan where a picture has no such region or shows no face."""

    people: list[str] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)
    features: list[Floats] = field(default_factory=list)

    def add(self, person: str, values: Mapping[str, float], features: Floats) -> None:
        """Add a picture.  Every picture has the same measures."""
        self.people.append(person)
        self.features.append(features)
        for name, value in values.items():
            self.values.setdefault(name, []).append(value)

    def row(self, reference: Scores | None) -> Row:
        """The row of the table.  reference: scores of the clean pictures, the Frechet distance's other set."""
        found = {name: number for name, values in self.values.items() if (number := over_people(values, self.people))}
        if reference is not None and min(len(self.features), len(reference.features)) > 1:
            distance = frechet_distance(np.array(self.features), np.array(reference.features))
            found["frechet"] = Number(distance, None, len(self.features))
        return found


def over_people(values: Sequence[float], people: Sequence[str]) -> Number | None:
    """Mean over pictures and spread over people of what is not nan; None when everything is."""
    known = [(value, person) for value, person in zip(values, people, strict=True) if not math.isnan(value)]
    if not known:
        return None
    by_person: dict[str, list[float]] = {}
    for value, person in known:
        by_person.setdefault(person, []).append(value)
    means = [float(np.mean(own)) for own in by_person.values()]
    sd = float(np.std(means, ddof=1)) if len(means) > 1 else None
    return Number(float(np.mean([value for value, _ in known])), sd, len(known))


def measure(found: Picture, sample: Sample, reader: ExpressionReader | None) -> dict[str, float]:
    """All measures of one picture, by name.

    found: (size, size, 3), the sample without electrodes.  ssim_*, psnr_* (dB): in the face and its three kinds of
    skin.  psnr_kept (dB): untouched skin against the picture with electrodes, whose own pixels should stay; compression
    counts against psnr_untouched, but not here.  gmsd, mdsi: whole picture.  expression: mean absolute error of the
    blendshapes against the clean picture's, expression_truth against what was rendered; face_found: 1 or 0.
    """
    regions, clean = sample.regions, sample.clean
    similar = ssim_map(found, clean)
    values = {"gmsd": gmsd(found, clean), "mdsi": mdsi(found, clean)}
    for name, region in regions._asdict().items():
        enough = int(region.sum()) >= FEWEST_PX
        values[f"ssim_{name}"] = float(similar[region].mean()) if enough else math.nan
        values[f"psnr_{name}"] = _psnr_db(found, clean, region) if enough else math.nan
        if name == "untouched":
            values["psnr_kept"] = _psnr_db(found, sample.covered, region) if enough else math.nan
    if reader is not None:
        values |= _expression(reader.read(found), sample)
    return values


def _psnr_db(found: Picture, other: Picture, region: npt.NDArray[np.bool_]) -> float:
    return min(psnr_db(found, other, region), BEST_DB)


def measure_clean(sample: Sample, reader: ExpressionReader | None) -> dict[str, float]:
    """What can be said of the clean picture itself: whether a face is found, and the error of reading it."""
    values = _expression(sample.reading, sample) if reader is not None else {}
    values.pop("expression", None)  # it would be compared with itself
    return values


def _expression(seen: Reading | None, sample: Sample) -> dict[str, float]:
    values = {"expression": math.nan, "face_found": float(seen is not None)}
    if sample.truth is not None:
        values["expression_truth"] = math.nan
    if seen is not None and sample.reading is not None:
        values["expression"] = expression_error(seen.blendshapes, sample.reading.blendshapes)
    if seen is not None and sample.truth is not None:
        values["expression_truth"] = expression_error(seen.blendshapes, sample.truth)
    return values


def score(
    samples: Iterable[Sample],
    ways: Sequence[Way],
    reader: ExpressionReader | None,
    done: Callable[[], None] = lambda: None,
) -> dict[str, Scores]:
    """Measure all ways on the same pictures.

    Returns scores by way's name, and under WITHOUT those of the clean pictures: their features, and how well the
    rendered expression is read off them.  done: called after every picture.
    """
    found = {name: Scores() for name in (WITHOUT, *(way.name for way in ways))}
    for sample in samples:
        found[WITHOUT].add(sample.person, measure_clean(sample, reader), features(sample.clean))
        for way in ways:
            picture = way.crop(sample.covered, sample.mask)
            found[way.name].add(sample.person, measure(picture, sample, reader), features(picture))
        done()
    return found


def table_of(scores: Mapping[str, Scores], paired: bool = True) -> dict[str, Row]:
    """Rows by way.

    paired: the clean pictures are the very moments of the others, which are then compared with all of them.  Otherwise
    half of the clean pictures are compared with the other half: how far apart chance alone puts two sets.
    """
    clean = scores[WITHOUT]
    without = clean.row(None)
    halves = np.array(clean.features[::2]), np.array(clean.features[1::2])
    if not paired and min(map(len, halves)) > 1:
        without["frechet"] = Number(frechet_distance(*halves), None, len(clean.features))
    return {WITHOUT: without, **{name: one.row(clean) for name, one in scores.items() if name != WITHOUT}}
