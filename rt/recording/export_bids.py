"""A recording as EMG-BIDS 1.11: BDF+ (24 bit) with its sidecars, added to a data set.

The raw EMG is written without its gaps closed: missing time is zeros, and an event says so. Dates are left out (the
BDF says 2000-01-01): a data set is for sharing. Everything is read back before the export says that it succeeded,
because pyedflib (0.1.42) drops annotations silently when they are more than data records x annotation signals.
"""

import datetime
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engines.emg.montage import FRIDLUND, montage_of
from rt.errors import BadRecording, BadSettings, DataLost, MissingDevice
from rt.recording.disk import write_atomically
from rt.recording.gapless import Layout, lay_out
from rt.recording.recorded import RecordedEvent, recorded_chunks, recorded_events
from rt.recording.session_folder import SessionFolder
from rt.recording.streams import EMG, ENVELOPE, STREAM_EVENT

BIDS_VERSION = "1.11.1"
_MAX_UV = 9_999_999  # what an EDF header's eight characters can say; beyond any electrode's voltage
_MAX_ANNOTATION_SIGNALS = 64
_ANNOTATION_CHARACTERS = 40  # pyedflib's room for a text


def export_bids(folder: SessionFolder, out: Path, progress: Callable[[float], None], task: str = "") -> list[Path]:
    """Add the recording to the data set at `out`; returns the files written.

    task: the BIDS task label; default: the session's own settings, else 'biofeedback'.
    """
    try:
        import pyedflib
    except ImportError:
        raise MissingDevice("pyedflib is needed to export BIDS: pip install pyedflib") from None
    layout = lay_out(folder.signals, EMG)
    if layout is None:
        raise BadRecording(f"{folder.path.name} holds no EMG; nothing can be exported to BIDS")
    if layout.rate_hz != round(layout.rate_hz):
        raise BadRecording(f"the EMG's rate is {layout.rate_hz} Hz; BDF needs a whole number")
    progress(0.2)
    subject = "sub-" + _label(str(folder.info.get("subject", "")))
    stem = f"{subject}_ses-{_label(folder.path.name.partition('_')[2])}_task-{_label(task or 'biofeedback')}"
    target = out / subject / stem.split("_")[1] / "emg"
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    bdf = target / f"{stem}_emg.bdf"
    if bdf.exists() or bdf.is_symlink():
        raise BadSettings(f"{bdf} exists; nothing is overwritten, choose another folder")
    events = _events(folder, layout)
    partial = bdf.with_name(f".{bdf.name}.tmp")
    write_atomically(partial, b"")  # with mode 0600; pyedflib keeps it
    try:
        annotated = _write_bdf(pyedflib, partial, folder, layout, events)
        progress(0.7)
        _verify(pyedflib, partial, folder, layout, annotated)
        partial.replace(bdf)
    finally:
        partial.unlink(missing_ok=True)
    return [bdf, *_write_sidecars(folder, out, target, stem, layout, events)]


def _gapless(folder: SessionFolder, layout: Layout) -> Iterator[np.ndarray]:
    """The signal in blocks of one second, (rate, channel) float64 microvolt; the last one is filled up with zeros."""
    fill = {sample: filled for sample, filled, _ in layout.gaps}
    second = round(layout.rate_hz)
    block, used, at = np.zeros((second, len(layout.labels))), 0, 0

    def pieces() -> Iterator[np.ndarray]:
        nonlocal at
        for chunk in recorded_chunks(folder.signals):
            if at in fill and chunk.gap_s > 0:
                for begin in range(0, fill[at], second):
                    yield np.zeros((min(second, fill[at] - begin), len(layout.labels)))
                at += fill[at]
            yield np.nan_to_num(chunk.data, nan=0.0, posinf=0.0, neginf=0.0).clip(-_MAX_UV, _MAX_UV)
            at += len(chunk.data)

    for piece in pieces():
        taken = 0
        while taken < len(piece):
            n = min(second - used, len(piece) - taken)
            block[used : used + n] = piece[taken : taken + n]
            used, taken = used + n, taken + n
            if used == second:
                yield block
                used = 0
    if used:
        block[used:] = 0
        yield block


def _events(folder: SessionFolder, layout: Layout) -> list[tuple[float, float, RecordedEvent]]:
    """(onset, duration, event) in seconds of the gapless signal, in order of their onsets; gaps have a duration."""
    told = [
        event
        for event in recorded_events(folder.signals)
        if event.kind != STREAM_EVENT and event.data.get("stream") not in (EMG, ENVELOPE)
    ]
    onsets = layout.onsets_s([event.t for event in told])
    found = [(onset, 0.0, event) for onset, event in zip(onsets, told, strict=True)]
    for sample, filled, gap_s in layout.gaps:
        event = RecordedEvent(0.0, "BAD_gap", "recorder", f"{gap_s:.3f} s of EMG are missing", {})
        found.append((sample / layout.rate_hz, filled / layout.rate_hz, event))
    return sorted(found, key=lambda entry: entry[0])


def _write_bdf(
    pyedflib: Any,
    path: Path,
    folder: SessionFolder,
    layout: Layout,
    events: list[tuple[float, float, RecordedEvent]],
) -> list[float]:
    """Write signal and annotations; returns the onsets of the annotations."""
    records = math.ceil(layout.samples / layout.rate_hz)
    signals = math.ceil(len(events) / max(records, 1)) + 1
    annotated = events[: records * (_MAX_ANNOTATION_SIGNALS - 1)]  # what is beyond BDF's room is in events.tsv only
    writer = pyedflib.EdfWriter(str(path), len(layout.labels), file_type=pyedflib.FILETYPE_BDFPLUS)
    try:
        for index, (label, peak) in enumerate(zip(layout.labels, layout.peak_uv, strict=True)):
            limit = min(math.ceil(peak), _MAX_UV)
            header = {
                "label": label[:16],
                "dimension": "uV",
                "sample_frequency": round(layout.rate_hz),
                "physical_min": -limit,
                "physical_max": limit,
                "digital_min": -(1 << 23),
                "digital_max": (1 << 23) - 1,
                "transducer": "",
                "prefilter": "",
            }
            writer.setSignalHeader(index, header)
        writer.setStartdatetime(datetime.datetime(2000, 1, 1))
        writer.setPatientCode(str(folder.info.get("subject", "")))
        writer.set_number_of_annotation_signals(min(signals, _MAX_ANNOTATION_SIGNALS))
        for block in _gapless(folder, layout):
            if writer.blockWritePhysicalSamples(np.ascontiguousarray(block.T).ravel()) < 0:
                raise DataLost(f"{path.parent}: the disk is full; free some space and export again")
        for onset, duration, event in annotated:
            text = f"{event.kind} {event.text}"[:_ANNOTATION_CHARACTERS]
            writer.writeAnnotation(onset, duration or -1, text)
    finally:
        writer.close()
    return [onset for onset, _, _ in annotated]


def _verify(pyedflib: Any, path: Path, folder: SessionFolder, layout: Layout, onsets: list[float]) -> None:
    """Read everything back and compare. Raises DataLost with what differs."""
    with pyedflib.EdfReader(str(path)) as reader:
        found = reader.readAnnotations()[0]
        if len(found) != len(onsets) or not np.allclose(np.sort(found), np.sort(onsets), atol=1e-3):
            raise DataLost(f"the BDF holds {len(found)} of {len(onsets)} annotations; the export was removed")
        step_uv = 2 * np.ceil(layout.peak_uv) / (1 << 24)
        for number, block in enumerate(_gapless(folder, layout)):
            for channel in range(len(layout.labels)):
                back = reader.readSignal(channel, number * len(block), len(block))
                if np.abs(back - block[:, channel]).max() > 1.01 * step_uv[channel]:
                    label = layout.labels[channel]
                    raise DataLost(
                        f"the BDF's {label} differs from the recording at {number} s; the export was removed"
                    )


def _write_sidecars(
    folder: SessionFolder,
    out: Path,
    target: Path,
    stem: str,
    layout: Layout,
    events: list[tuple[float, float, RecordedEvent]],
) -> list[Path]:
    subject, settings = stem.split("_")[0], folder.info.get("settings") or {}
    synthetic = " Synthetic: made by a simulator, not from a person." if folder.info.get("synthetic") else ""
    fridlund = montage_of(layout.labels) is FRIDLUND
    files: dict[Path, str] = {}
    files[target / f"{stem}_emg.json"] = _json(
        {
            "TaskName": stem.partition("_task-")[2],
            "TaskDescription": "Facial movements with live visual feedback." + synthetic,
            "EMGPlacementScheme": "Other",
            "EMGPlacementSchemeDescription": ("Fridlund and Cacioppo, bipolar: " if fridlund else "")
            + "see channels.tsv",
            "EMGReference": "bipolar: the second electrode of each pair" if fridlund else "see channels.tsv",
            "EMGGround": "n/a",
            "EMGChannelCount": len(layout.labels),
            "SamplingFrequency": round(layout.rate_hz),
            "PowerLineFrequency": _mains_hz(settings),
            "RecordingType": "continuous",
            "RecordingDuration": round(layout.samples / layout.rate_hz, 6),
            "SoftwareFilters": "n/a",
            "Manufacturer": "n/a",
        }
    )
    rows = [_channel_row(label) for label in layout.labels]
    files[target / f"{stem}_channels.tsv"] = _tsv(("name", "type", "units", "reference", "target_muscle"), rows)
    kinds = [(f"{onset:.6f}", f"{length:.6f}", e.kind, _flat(e.text)) for onset, length, e in events]
    files[target / f"{stem}_events.tsv"] = _tsv(("onset", "duration", "trial_type", "description"), kinds)
    levels = {kind: kind for kind in sorted({event.kind for _, _, event in events})}
    columns = {
        "trial_type": {"Description": "Kind of event", "Levels": levels},
        "description": {"Description": "The event in words"},
    }
    files[target / f"{stem}_events.json"] = _json(columns)
    for path, text in files.items():
        write_atomically(path, text.encode())
    return [*files, *_write_dataset(out, subject, synthetic, layout.missing)]


def _write_dataset(out: Path, subject: str, synthetic: str, missing: int) -> list[Path]:
    """What belongs to the whole data set; an existing description is kept, the subject is added to the participants."""
    written = []
    description = {
        "Name": "Facial EMG recorded with MyoMirror." + synthetic,
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "raw",
        "GeneratedBy": [{"Name": "MyoMirror"}],
    }
    readme = (
        "Facial EMG recorded with MyoMirror (research software, not a medical device).\n\n"
        "Dates were removed. Missing time is zeros and marked BAD_gap in events.tsv; samples that were no numbers "
        f"({missing} in {subject}) are zeros.\n"
    )
    for name, text in (("dataset_description.json", _json(description)), ("README", readme)):
        if not (out / name).exists():
            write_atomically(out / name, text.encode())
            written.append(out / name)
    participants = out / "participants.tsv"
    lines = participants.read_text().splitlines() if participants.exists() else ["participant_id"]
    if subject not in [line.split("\t")[0] for line in lines]:
        lines.append("\t".join([subject, *["n/a"] * lines[0].count("\t")]))
        write_atomically(participants, ("\n".join(lines) + "\n").encode())
        written.append(participants)
    return written


def _channel_row(label: str) -> tuple[str, ...]:
    montage = montage_of((label,))
    if montage is None:
        return label, "EMG", "uV", "n/a", "n/a"
    channel = montage.channels[montage.column(label)]
    reference = montage.reference.label if montage.reference else "bipolar"
    return label, "EMG", "uV", reference, f"{channel.muscle.replace('_', ' ')}, {channel.side}"


def _mains_hz(settings: dict[str, Any]) -> float | str:
    """The mains frequency that the session's settings name anywhere; BIDS allows 'n/a'."""
    for key, value in settings.items():
        if key == "mains_hz" and isinstance(value, int | float):
            return value
        if isinstance(value, dict) and (found := _mains_hz(value)) != "n/a":
            return found
    return "n/a"


def _label(text: str) -> str:
    """BIDS labels are letters and digits only."""
    return re.sub(r"[^A-Za-z0-9]", "", text) or "unknown"


def _flat(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip() or "n/a"


def _tsv(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return "".join("\t".join(row) + "\n" for row in [header, *rows])


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
