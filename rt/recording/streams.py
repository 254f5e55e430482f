"""What the streams in a session's signals.xdf are called and what their columns mean; one place for writer and readers.

emg          microvolt, raw, montage order; a chunk as it came is a chunk in the file
envelope     microvolt, full rate
expression   52 blendshapes and the crop's 2 x 3 transform, stamped with the frame's t_capture
expression_camera   what a network read from the picture, stamped with its t_capture
expression_emg      what a network made of the muscles alone, stamped with the sample that it was made from
estimated_muscles   what a network guessed the muscles to be doing, from the picture: per cent and standard deviation,
                    stamped with its t_capture; never measured, so never in `emg`, `envelope` or `muscles`
motion       how the head is turned and how symmetric the face moves without the turn, as the picture lets it be read;
             stamped with its t_capture
muscles      %MVC, signed asymmetry, contact; stamped with the newest EMG sample in it
frames       one row per video frame, stamped with its t_capture (exact, where the video's own stamps are rounded)
events       JSON {kind, node, text, data}
"""

import json
import math
from typing import Any, NamedTuple

from engines.emg.montage import Montage
from engines.face.blendshapes import BLENDSHAPES
from rt.recording.xdf_format import StreamSpec

EMG, ENVELOPE, EXPRESSION, MUSCLES, FRAMES, EVENTS = "emg", "envelope", "expression", "muscles", "frames", "events"
EXPRESSION_OF = {"camera": "expression_camera", "emg": "expression_emg"}  # by what said it
ESTIMATED_MUSCLES = "estimated_muscles"
MOTION = "motion"
MOTION_COLUMNS = (
    *("state", "yaw_deg", "pitch_deg", "roll_deg", "away_deg", "hidden_share"),
    *("brows_asymmetry", "eyes_asymmetry", "mouth_asymmetry", "brows_moved_cm", "eyes_moved_cm", "mouth_moved_cm"),
)
CROP_COLUMNS = tuple(f"crop_from_frame_{row}{column}" for row in range(2) for column in range(3))
FRAME_COLUMNS = ("seq", "segment", "index", "device_stamp", "intact")

_SAID_FROM = {"camera": "picture", "emg": "muscles"}
_FLAME55 = (
    *(f"expression_{number}" for number in range(50)),
    *("eyelid_left", "eyelid_right"),
    *(f"jaw_{number}" for number in range(3)),
)

# Kinds of event that tell where a regular stream begins anew: at its first sample, and after a gap.
STREAM_EVENT, GAP_EVENT = "STREAM", "GAP"


class Mark(NamedTuple):
    """Where a regular stream begins anew: from `sample` on (index in the file), numbered from `first_sample` (index at
    the source). gap_s: seconds missing before it, > 0 restarts every filter."""

    stream: str
    sample: int
    first_sample: int
    gap_s: float


def emg_spec(labels: tuple[str, ...], rate_hz: float) -> StreamSpec:
    """Raw EMG."""
    return StreamSpec(EMG, "EMG", labels, ("microvolts",) * len(labels), rate_hz=rate_hz)


def envelope_spec(labels: tuple[str, ...], rate_hz: float, chain: str) -> StreamSpec:
    """Envelopes; chain: the EMG chain's id."""
    units = ("microvolts",) * len(labels)
    return StreamSpec(ENVELOPE, "EMG", labels, units, rate_hz=rate_hz, details={"emg_chain": chain})


def expression_spec() -> StreamSpec:
    """Blendshapes in [0, 1] and the crop's transform; NaN where no face was seen."""
    labels = (*BLENDSHAPES, *CROP_COLUMNS)
    return StreamSpec(EXPRESSION, "MISC", labels, can_drop_samples=True)


def said_expression_spec(source: str, profile: str) -> StreamSpec:
    """An expression as a network said it.  source: 'camera' or 'emg'.  profile: 'arkit52' or 'flame55'."""
    labels = BLENDSHAPES if profile == "arkit52" else _FLAME55
    details = {"origin": f"estimated by a network from the {_SAID_FROM[source]}", "profile": profile}
    return StreamSpec(EXPRESSION_OF[source], "MISC", labels, can_drop_samples=True, details=details)


def estimated_muscles_spec(montage: Montage) -> StreamSpec:
    """Muscles as a network guessed them from the picture; NaN where it does not say how sure it is."""
    labels = estimate_columns(montage)
    details = {"origin": "estimated by a network from the picture, not measured", "unit": "per cent, relative"}
    return StreamSpec(ESTIMATED_MUSCLES, "MISC", labels, can_drop_samples=True, details=details)


def motion_spec() -> StreamSpec:
    """Head pose and the face's symmetry.  state: a number of rt.message.MotionState; NaN where nothing can be said."""
    details = {"origin": "read from the picture", "asymmetry": "100 (right - left) / (right + left)"}
    return StreamSpec(MOTION, "MISC", MOTION_COLUMNS, can_drop_samples=True, details=details)


def estimate_columns(montage: Montage) -> tuple[str, ...]:
    """Column names of the estimated muscles."""
    return (
        *(f"{label}_estimated_percent" for label in montage.labels),
        *(f"{label}_estimated_sd" for label in montage.labels),
    )


def muscles_spec(montage: Montage) -> StreamSpec:
    """%MVC per channel, signed asymmetry per pair, contact per channel."""
    labels = muscle_columns(montage)
    return StreamSpec(MUSCLES, "MISC", labels, can_drop_samples=True)


def muscle_columns(montage: Montage) -> tuple[str, ...]:
    """Column names of the muscles stream."""
    return (
        *(f"{label}_percent_mvc" for label in montage.labels),
        *(f"{muscle}_asymmetry" for muscle, _, _ in montage.pairs()),
        *(f"{label}_contact" for label in montage.labels),
    )


def frames_spec() -> StreamSpec:
    """One row per video frame: see FRAME_COLUMNS. segment 0: the picture was not recorded."""
    return StreamSpec(FRAMES, "VideoRaw", FRAME_COLUMNS, sample_format="int32", can_drop_samples=True)


def events_spec() -> StreamSpec:
    """JSON, one event per sample."""
    return StreamSpec(EVENTS, "Markers", ("json",), sample_format="string")


def event_text(kind: str, node: str, text: str, data: dict[str, Any]) -> str:
    """An event as the events stream holds it."""
    return json.dumps({"kind": kind, "node": node, "text": text, "data": data}, ensure_ascii=False, default=str)


def parse_event(text: str) -> dict[str, Any]:
    """An event back from its text; foreign text becomes an event of kind MARKER."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        found = {"kind": "MARKER", "text": text}
    data = found.get("data")
    return {
        "kind": str(found.get("kind", "MARKER")),
        "node": str(found.get("node", "")),
        "text": str(found.get("text", "")),
        "data": data if isinstance(data, dict) else {},
    }


def mark_of(event: dict[str, Any]) -> Mark | None:
    """The mark in a parsed event, None when it is another kind of event or not a possible one."""
    data = event["data"]
    if event["kind"] not in (STREAM_EVENT, GAP_EVENT) or not {"stream", "sample", "first_sample"} <= data.keys():
        return None
    try:
        mark = Mark(str(data["stream"]), int(data["sample"]), int(data["first_sample"]), float(data.get("gap_s", 0.0)))
    except (TypeError, ValueError, OverflowError):
        return None
    return mark if mark.sample >= 0 and math.isfinite(mark.gap_s) else None
