"""A recording as one HTML page that needs nothing else: no script, no font, no address. For the clinician's file."""

import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rt.errors import BadRecording
from rt.recording.disk import write_atomically
from rt.recording.recorded import RecordedEvent, recorded_events, recorded_table
from rt.recording.report_charts import clock_text
from rt.recording.report_curves import Curves, draw_asymmetry, draw_envelopes, draw_estimates, read_curves
from rt.recording.report_style import STYLE
from rt.recording.session_folder import MANIFEST, SessionFolder
from rt.recording.streams import FRAMES, STREAM_EVENT

_MOST_EVENTS = 300


def write_report(path: Path, out: Path) -> Path:
    """Write the page about a session folder to `out` (0600, replaced when it exists); returns `out`.

    Raises BadRecording when the folder is no recording or its signals cannot be read.
    """
    folder = SessionFolder.open(path)
    write_atomically(out, render(folder).encode())
    return out


def render(folder: SessionFolder) -> str:
    """The page's HTML."""
    signals = folder.signals
    if not signals.is_file():
        raise BadRecording(f"{folder.path.name} holds no signals.xdf; there is nothing to report")
    events, curves = recorded_events(signals), read_curves(signals)
    frames = recorded_table(signals, FRAMES)
    n_frames = 0 if frames is None else len(frames.stamps)
    seconds = curves.axis.seconds if curves else _span(frames.stamps if frames else np.empty(0))
    sections = [
        _head(folder.info, seconds),
        _tiles(folder.info, curves, n_frames, seconds),
        draw_envelopes(curves),
        draw_asymmetry(signals, curves),
        draw_estimates(signals, curves),
        _pair(_latencies(folder.info), _ledger(folder.info)),
        _events(events, curves),
        _origin(folder),
    ]
    title = f"Session {_text(folder.path.name)}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><main>{''.join(sections)}</main></body></html>\n"
    )


def _head(info: Mapping[str, Any], seconds: float) -> str:
    state = str(info.get("state", ""))
    words = {"closed": "closed properly", "repaired": "repaired", "recording": "not closed: run repair"}
    badges = [_badge(words.get(state, state), "good" if state == "closed" else "warn")]
    if info.get("synthetic"):
        badges.append(_badge("synthetic: not a real person", "warn"))
    badges += [_badge(f"consent: {scope}", "plain") for scope in info.get("consent", [])]
    started = str(info.get("started", ""))[:16].replace("T", " ")
    return (
        f"<header><p class=brand>MyoMirror session report</p><h1>{_text(info.get('subject', ''))}</h1>"
        f"<p class=soft>{_text(started)} &middot; {_duration(seconds)}</p><p>{''.join(badges)}</p>"
        "<p class=notice>Research software, not a medical device.</p></header>"
    )


def _tiles(info: Mapping[str, Any], curves: Curves | None, n_frames: int, seconds: float) -> str:
    latency = (info.get("report") or {}).get("latency_ms") or {}
    gaps = len(curves.layout.gaps) if curves else 0
    tiles = [
        ("Length", _duration(seconds), ""),
        ("Video frames", f"{n_frames:,}", "on record"),
        ("EMG gaps", str(gaps), "marked, never filled"),
        ("Photon-to-pixel", _ms((latency.get("photon_to_pixel") or {}).get("p95")), "95th percentile"),
        ("Muscle-to-pixel", _ms((latency.get("muscle_to_pixel") or {}).get("p95")), "95th percentile"),
    ]
    cells = "".join(
        f"<div class=tile><dt>{name}</dt><dd>{value}</dd><small>{note}</small></div>" for name, value, note in tiles
    )
    return f"<dl class=tiles>{cells}</dl>"


def _latencies(info: Mapping[str, Any]) -> str:
    latency = (info.get("report") or {}).get("latency_ms") or {}
    named = [(name.replace("_", "-"), latency.get(name)) for name in ("photon_to_pixel", "muscle_to_pixel")]
    rows = named + sorted((latency.get("stages") or {}).items())
    keys = ("p50", "p95", "p99", "max")
    body = [
        [f"<th scope=row>{_text(name)}</th>", *(f"<td>{_number(values.get(key))}</td>" for key in keys)]
        for name, values in rows
        if isinstance(values, Mapping)
    ]
    end = f"measured until {_text(latency['end'])}" if "end" in latency else ""
    return _table("Latency", f"ms; {end}" if end else "ms", ("", *keys), body, "The session left no latencies.")


def _ledger(info: Mapping[str, Any]) -> str:
    ledger = info.get("ledger") or (info.get("report") or {}).get("frames") or {}
    rows = [("captured", ledger.get("captured")), ("shown", ledger.get("shown"))]
    rows += [(f"dropped: {reason.replace('_', ' ')}", n) for reason, n in sorted((ledger.get("dropped") or {}).items())]
    body = [[f"<th scope=row>{_text(name)}</th>", f"<td>{_text(n)}</td>"] for name, n in rows if n is not None]
    closed = {"True": "closed: every frame is accounted for", "False": "DOES NOT CLOSE"}
    note = closed.get(str(ledger.get("closed")), "")
    return _table("Frame ledger", note, ("", "frames"), body, "The session left no ledger.")


def _events(events: Iterable[RecordedEvent], curves: Curves | None) -> str:
    told = [event for event in events if event.kind != STREAM_EVENT]
    stamps = [event.t for event in told]
    onsets = curves.layout.onsets_s(stamps) if curves and told else [t - stamps[0] for t in stamps]
    in_order = sorted(zip(onsets, told, strict=True), key=lambda entry: entry[0])
    body = [
        [
            f"<td>{clock_text(onset, 1)}</td>",
            f"<td>{_badge(event.kind, _tone(event.kind))}</td>",
            f"<td>{_text(event.text)}</td>",
        ]
        for onset, event in in_order[:_MOST_EVENTS]
    ]
    more = f"the first {_MOST_EVENTS} of {len(told)}" if len(told) > _MOST_EVENTS else f"{len(told)}"
    return _table("Events and gaps", more, ("time", "kind", ""), body, "Nothing happened.", "told")


def _origin(folder: SessionFolder) -> str:
    info = folder.info
    if (folder.path / MANIFEST).is_file():
        problems = folder.verify()
        checked = "Every file agrees with the manifest." if not problems else "; ".join(problems) + "."
    else:
        checked = "There is no manifest: the session was not closed."
    repairs = "".join(f"<li>{_text(line)}</li>" for repair in info.get("repairs", []) for line in _repair_lines(repair))
    versions = {**(info.get("versions") or {}), **((info.get("report") or {}).get("versions") or {})}
    rows = [[f"<th scope=row>{_text(name)}</th>", f"<td>{_text(v)}</td>"] for name, v in sorted(versions.items())]
    table = _table("Versions", "", ("", ""), rows, "Not recorded.", "told")
    return (
        f"<section><h2>Files</h2><p>{_text(checked)}</p>{f'<ul>{repairs}</ul>' if repairs else ''}</section>"
        f"<details><summary>Versions</summary>{table}</details>"
    )


def _repair_lines(repair: Any) -> list[str]:
    if not isinstance(repair, Mapping):
        return []
    lost = repair.get("lost_s") or {}
    parts = ", ".join(f"{name} {seconds} s" for name, seconds in lost.items())
    return [
        f"Repaired {repair.get('when', '')}; ends before the longest part: {parts or 'nothing'}.",
        *repair.get("notes", []),
    ]


def _table(
    title: str, note: str, header: Sequence[str], body: Sequence[Sequence[str]], empty: str, kind: str = "numbers"
) -> str:
    small = f" <small>{note}</small>" if note else ""
    if not body:
        return f"<section><h2>{title}{small}</h2><p class=soft>{empty}</p></section>"
    heads = "".join(f"<th scope=col>{name}</th>" for name in header)
    rows = "".join(f"<tr>{''.join(cells)}</tr>" for cells in body)
    return (
        f"<section><h2>{title}{small}</h2><table class={kind}><thead><tr>{heads}</tr></thead>"
        f"<tbody>{rows}</tbody></table></section>"
    )


def _pair(left: str, right: str) -> str:
    return f"<div class=pair>{left}{right}</div>"


def _badge(text: str, tone: str) -> str:
    return f'<span class="badge {tone}">{_text(text)}</span>'


def _tone(kind: str) -> str:
    return "warn" if kind in ("ALARM", "GAP", "RESTART") else "plain"


def _text(value: Any) -> str:
    return html.escape(str(value), quote=True)


def _ms(value: Any) -> str:
    return f"{value:.0f} ms" if isinstance(value, int | float) else "&ndash;"


def _number(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, int | float) else "&ndash;"


def _span(stamps: np.ndarray) -> float:
    return float(stamps[-1] - stamps[0]) if len(stamps) else 0.0


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"
