"""The session's signals.xdf as the recorder writes it: messages in, rows out, nothing twice, every hole marked.

After a restart of the recorder the links send again what had not been acknowledged: what the file already holds is
recognised by its number (samples at the source, frames of the session) and left out.
"""

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.emg.montage import Montage
from engines.face.blendshapes import BLENDSHAPES
from rt.message import Chunk, Estimate, Event, Expression, Frame, Motion, Muscles, Parameters
from rt.recording.streams import (
    EMG,
    ENVELOPE,
    ESTIMATED_MUSCLES,
    EVENTS,
    EXPRESSION,
    EXPRESSION_OF,
    FRAMES,
    GAP_EVENT,
    MOTION,
    MUSCLES,
    STREAM_EVENT,
    Mark,
    emg_spec,
    envelope_spec,
    estimated_muscles_spec,
    event_text,
    events_spec,
    expression_spec,
    frames_spec,
    mark_of,
    motion_spec,
    muscles_spec,
    parse_event,
    said_expression_spec,
)
from rt.recording.xdf_reader import Item, Samples
from rt.recording.xdf_writer import MAX_STRING_BYTES, XdfWriter

_NODE = "recorder"
_MOST_SENT_AGAIN = 16384  # chunks that a link may hold for a recorder that is away: 120 s of 10 ms chunks, and more


@dataclass
class _Place:
    """Where a regular stream is: its last mark, and whether it must be marked anew (after a pause)."""

    mark: Mark
    broken: bool = False

    def next_first_sample(self, count: int) -> int:
        """The number at the source of the sample that would follow the `count` samples in the file."""
        return self.mark.first_sample + count - self.mark.sample


class SignalsFile:
    """One thread owns it. Raises DataLost when the disk is full; the file then stays readable as it is."""

    def __init__(self, path: Path, montage: Montage) -> None:
        """Begin the file, or go on with it when it exists. montage: what the channels of EMG and muscles are."""
        self._montage = montage
        self._places: dict[str, _Place] = {}
        self._recalled: dict[str, OrderedDict[float, None]] = {}
        self._resumed_until: dict[str, float] = {}
        self._ramp = np.arange(4096.0)
        self._calibration = b""
        self.last_seq = -1
        resuming = path.exists()
        self.xdf = XdfWriter.append(path, visit=self._recall) if resuming else XdfWriter(path)
        for spec in (events_spec(), frames_spec()):
            self.xdf.add_stream(spec)
        for name in (EXPRESSION, MUSCLES, ESTIMATED_MUSCLES, MOTION, *EXPRESSION_OF.values()):
            if name in self.xdf.streams():
                self._resumed_until[name] = self.xdf.totals(name).last

    def _recall(self, item: Item) -> None:
        """Find the last marks and the last frame of a file that is continued."""
        if not isinstance(item, Samples):
            return
        if item.spec.name == FRAMES and len(item.stamps):
            self.last_seq = int(item.values[-1][0])
        elif item.spec.name in (EMG, ENVELOPE) and len(item.stamps):
            recent = self._recalled.setdefault(item.spec.name, OrderedDict())
            recent[float(item.stamps[0])] = None
            if len(recent) > _MOST_SENT_AGAIN:
                recent.popitem(last=False)
        elif item.spec.name == EVENTS:
            for texts in item.values:
                mark = mark_of(parse_event(texts[0]))
                if mark is not None:
                    self._places[mark.stream] = _Place(mark)

    def chunk(self, chunk: Chunk) -> bool:
        """Append raw EMG or an envelope; False when the file has it already. A gap is marked by an event before it."""
        name = EMG if chunk.kind == "raw" else ENVELOPE
        if name not in self.xdf.streams():
            labels = self._montage.labels
            raw = emg_spec(labels, chunk.rate_hz)
            self.xdf.add_stream(raw if name == EMG else envelope_spec(labels, chunk.rate_hz, chunk.chain))
        totals = self.xdf.totals(name)
        place = self._places.get(name)
        if self._is_known(name, chunk.t0):
            return False
        missing_s = max(chunk.t0 - totals.last, 1 / chunk.rate_hz) if totals.count else 0.0
        if place is None:
            self._mark(STREAM_EVENT, name, chunk, totals.count, chunk.gap_s, "begins")
        elif chunk.gap_s > 0:
            self._mark(GAP_EVENT, name, chunk, totals.count, chunk.gap_s, f"{chunk.gap_s:.3f} s are missing")
        elif place.broken:
            self._mark(GAP_EVENT, name, chunk, totals.count, missing_s, "goes on after a pause")
        elif chunk.first_sample != place.next_first_sample(totals.count):
            lost = chunk.first_sample - place.next_first_sample(totals.count)
            self._mark(GAP_EVENT, name, chunk, totals.count, missing_s, f"{lost} samples never reached the recorder")
        self.xdf.write(name, self._stamps(chunk), chunk.data)
        return True

    def frame(self, frame: Frame, segment: int, index: int, intact: bool) -> None:
        """Append a video frame's row; a jump in the sequence is marked by an event before it."""
        if 0 <= self.last_seq < frame.seq - 1:
            missing = frame.seq - 1 - self.last_seq
            text = f"{missing} frames never reached the recorder"
            self.event(Event(frame.t_capture, GAP_EVENT, _NODE, text, {"stream": FRAMES, "missing": missing}))
        self.last_seq = frame.seq
        row = np.array([[frame.seq, segment, index, frame.stamp == "device", intact]], np.int32)
        self.xdf.write(FRAMES, np.array([frame.t_capture]), row)

    def expression(self, found: Parameters) -> None:
        """Append a frame's blendshapes and crop transform; NaN where there is none."""
        if self._is_resent(EXPRESSION, found.t_capture):
            return
        self.xdf.add_stream(expression_spec())
        row = np.full((1, len(BLENDSHAPES) + 6), np.nan, np.float32)
        if found.face is not None:
            row[0, : len(BLENDSHAPES)] = found.face.blendshapes
        if found.crop_from_frame is not None:
            row[0, len(BLENDSHAPES) :] = found.crop_from_frame.ravel()
        self.xdf.write(EXPRESSION, np.array([found.t_capture]), row)

    def muscles(self, muscles: Muscles) -> None:
        """Append %MVC, asymmetry and contact; a new calibration is written as an event before it."""
        if self._is_resent(MUSCLES, muscles.t):
            return
        self.xdf.add_stream(muscles_spec(self._montage))
        self._note_calibration(muscles)
        if self.xdf.totals(MUSCLES).count and muscles.t == self.xdf.totals(MUSCLES).last:
            return  # two frames within one EMG chunk
        row = np.concatenate([muscles.percent_mvc, muscles.asymmetry, muscles.contact], dtype=np.float32)
        self.xdf.write(MUSCLES, np.array([muscles.t]), row[np.newaxis])

    def said_expression(self, found: Expression) -> None:
        """Append what a network says a face does, to a stream of its own; a session has one profile for each."""
        name = EXPRESSION_OF[found.source]
        if self._is_resent(name, found.t):
            return
        if name not in self.xdf.streams():
            self.xdf.add_stream(said_expression_spec(found.source, found.profile))
        self.xdf.write(name, np.array([found.t]), found.values[np.newaxis])

    def estimate(self, found: Estimate) -> None:
        """Append what a network guesses the muscles to be doing, to a stream that says so."""
        if self._is_resent(ESTIMATED_MUSCLES, found.t):
            return
        if ESTIMATED_MUSCLES not in self.xdf.streams():
            self.xdf.add_stream(estimated_muscles_spec(self._montage))
        row = np.concatenate([found.percent, found.spread], dtype=np.float32)
        self.xdf.write(ESTIMATED_MUSCLES, np.array([found.t]), row[np.newaxis])

    def motion(self, found: Motion) -> None:
        """Append how the head is turned and how symmetric the face moves."""
        if self._is_resent(MOTION, found.t):
            return
        if MOTION not in self.xdf.streams():
            self.xdf.add_stream(motion_spec())
        self.xdf.write(MOTION, np.array([found.t]), found.row()[np.newaxis])

    def event(self, event: Event) -> None:
        """Append an event; details that are too long for a row are left out, and the row says so."""
        text = event_text(event.kind, event.node, event.text, event.data)
        if len(text.encode()) > MAX_STRING_BYTES:
            text = event_text(event.kind, event.node, event.text[:1000], {"left_out": "details were too long"})
        self.xdf.write_text(EVENTS, event.t, text)

    def pause(self) -> None:
        """What comes next does not follow: recording is switched off for a while."""
        self.last_seq = -1
        for place in self._places.values():
            place.broken = True

    def close(self) -> str:
        """Footers, sync, close; returns the file's SHA-256."""
        self.xdf.close()
        return self.xdf.digest()

    def _is_known(self, name: str, t0: float) -> bool:
        """Whether a chunk is in the file already and was sent again: it then has the very stamp of one in the file."""
        known = self._recalled.get(name)
        if known is not None and t0 in known:
            return True
        self._recalled.pop(name, None)  # links send in order: from the first new one on, everything is new
        return False

    def _is_resent(self, name: str, stamp: float) -> bool:
        if stamp <= self._resumed_until.get(name, -np.inf):
            return True
        self._resumed_until.pop(name, None)
        return False

    def _mark(self, kind: str, name: str, chunk: Chunk, sample: int, gap_s: float, text: str) -> None:
        mark = Mark(name, sample, chunk.first_sample, gap_s)
        self.event(Event(chunk.t0, kind, _NODE, f"{name}: {text}", {**mark._asdict(), "rate_hz": chunk.rate_hz}))
        self._places[name] = _Place(mark)

    def _stamps(self, chunk: Chunk) -> np.ndarray:
        n = len(chunk.data)
        if n > len(self._ramp):
            self._ramp = np.arange(2.0 * n)
        stamps: np.ndarray = self._ramp[:n] / chunk.rate_hz + chunk.t0
        return stamps

    def _note_calibration(self, muscles: Muscles) -> None:
        arrays = {name: getattr(muscles, name) for name in ("rest_uv", "rest_sd_uv", "reference_uv")}
        key = muscles.reference.encode() + b"".join(array.tobytes() for array in arrays.values())
        if key == self._calibration:
            return
        self._calibration = key
        data = {name: [float(x) if np.isfinite(x) else None for x in array] for name, array in arrays.items()}
        text = muscles.reference or "not calibrated"
        self.event(Event(muscles.t, "CALIBRATION", _NODE, text, {**data, "labels": list(self._montage.labels)}))
