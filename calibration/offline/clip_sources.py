"""A clip in MMM's layout as a camera and an amplifier: nodes for rt/offline.py."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from calibration.data.mmm import Clip, Recordings
from calibration.data.mmm_layout import FPS
from engines.emg.jena import JENA_CHAIN_ID
from engines.errors import BadInput
from rt.message import Chunk, Frame, Message
from rt.recording.recorded import recorded_chunks, recorded_table
from rt.recording.streams import FRAMES
from rt.stage import Context, Emit, Source


@dataclass(frozen=True)
class ClipSettings:
    """folder: of the recordings.  clip: its id.  A folder that has no such clip is a BadInput when opened."""

    folder: str
    clip: str


class _ClipSource(Source[ClipSettings]):
    """Finds the clip; gives one message per call, as fast as it is read."""

    Settings = ClipSettings
    can_wait = True

    def __init__(self, settings: ClipSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._messages: Iterator[Emit] = iter(())

    def open(self) -> None:
        """Look at the files.  Raises BadInput when one is missing or damaged."""
        self._messages = self._read(clip_of(Path(self.settings.folder), self.settings.clip))

    def read(self, timeout_s: float) -> Iterable[Emit] | None:
        """The next one, None after the last."""
        emit = next(self._messages, None)
        return None if emit is None else (emit,)

    def _read(self, clip: Clip) -> Iterator[Emit]:
        raise NotImplementedError


class ClipCamera(_ClipSource):
    """The pictures: frame n at n / 30 s, or where the clip's raw EMG says that it is."""

    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}

    def _read(self, clip: Clip) -> Iterator[Emit]:
        times = frame_times(clip)
        for number, picture in enumerate(clip.pictures()):
            yield "frame", Frame(number, float(times[number]), "device", picture)


class ClipEmg(_ClipSource):
    """The raw EMG of a synthetic clip; real MMM has none."""

    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"emg": Chunk}

    def _read(self, clip: Clip) -> Iterator[Emit]:
        for chunk in recorded_chunks(clip.file("emg_raw")):
            yield "emg", chunk


class ClipEnvelope(_ClipSource):
    """The envelope that lies beside the video, a row per picture: jena_offline's, which no live chain can repeat."""

    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"envelope": Chunk}

    def _read(self, clip: Clip) -> Iterator[Emit]:
        for number, row in enumerate(clip.emg_uv()):
            yield "envelope", Chunk(row[None], FPS, number / FPS, number, "envelope", 0.0, JENA_CHAIN_ID)


def clip_of(folder: Path, name: str) -> Clip:
    """One clip of a folder.  Raises BadInput."""
    for clip in Recordings.open(folder).clips:
        if str(clip.id) == name:
            return clip
    raise BadInput(f"{folder} has no clip {name}: its index does not name it")


def frame_times(clip: Clip) -> np.ndarray:
    """When each picture was taken, (frame,) float64 seconds.  Raises BadInput when the raw EMG has other pictures."""
    frames = clip.video.frames
    table = recorded_table(clip.file("emg_raw"), FRAMES) if clip.has("emg_raw") else None
    if table is None:
        return np.arange(frames) / FPS
    if len(table.stamps) != frames:
        raise BadInput(f"{clip.file('emg_raw')} knows {len(table.stamps)} pictures, the video has {frames}")
    return table.stamps
