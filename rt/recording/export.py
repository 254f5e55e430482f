"""Takes a recording to other programs: CSV tables at frame times, or EMG-BIDS."""

from collections.abc import Callable
from pathlib import Path

from rt.errors import BadRecording, BadSettings
from rt.recording.export_bids import export_bids
from rt.recording.export_csv import export_csv
from rt.recording.session_folder import SessionFolder

Progress = Callable[[float], None]
FORMATS = ("csv", "bids")


def export(path: Path, out: Path, form: str, progress: Progress | None = None) -> list[Path]:
    """Export a session folder.

    out: a folder, made when it is missing (0700); for BIDS the data set's root, to which subjects are added.
    form: 'csv' or 'bids'. progress: called with the part that is done, 0 to 1. Returns the files written (0600).
    Raises BadSettings for an unknown form, missing consent or an output that exists, BadRecording when there is nothing
    to export, MissingDevice when a library is missing, DataLost when what was written does not read back.
    """
    if form not in FORMATS:
        raise BadSettings(f"unknown export format {form!r}; known: {', '.join(FORMATS)}")
    folder = SessionFolder.open(path)
    if not folder.signals.is_file():
        raise BadRecording(f"{folder.path.name} holds no signals.xdf; nothing can be exported")
    if form == "bids" and not folder.allows("sharing"):
        raise BadSettings(f"{folder.path.name}: the subject did not agree to sharing, which BIDS is for; use csv")
    report = progress or (lambda part: None)
    written = export_csv(folder, out, report) if form == "csv" else export_bids(folder, out, report)
    report(1.0)
    return written
