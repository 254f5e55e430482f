"""Tables of a processed recording as files: named columns, row i is picture i, CSV and Parquet.

    frames.csv              number, seconds, whether a face was seen, where the crop lay, whether it is synthetic
    emg.csv                 measured: the envelope in microvolt, MMM's columns in MMM's order and form
    muscles.csv             measured: %MVC, signed asymmetry, contact
    mediapipe.csv           blendshapes of the landmark model, MMM's columns and form
    expression_camera.csv   the face encoder's; arkit52 has the blendshapes' names, flame55 MMM's (exp_0 .. jaw_2)
    expression_emg.csv      the same, from the muscles alone
    estimated_muscles.csv   what a network guesses from the picture: relative, never a measurement

A CSV cell is `nan` where nothing is known, which every reader of numbers takes, ours for MMM too. Parquet has the frame
and its seconds in every table, null for what is not known, and processed.json in the file's metadata.
"""

import importlib
import importlib.util
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.data.mmm_layout import EMG_COLUMNS
from engines.emg.montage import FRIDLUND
from engines.face.blendshapes import BLENDSHAPES
from rt.errors import BadSettings
from rt.recording.streams import CROP_COLUMNS, ESTIMATED_MUSCLES, muscle_columns

CSV, PARQUET = "csv", "parquet"
FORMATS = (CSV, PARQUET)

_MMM_ORDER = np.array([FRIDLUND.column(name) for name in EMG_COLUMNS])
_FLAME55 = (*(f"exp_{n}" for n in range(50)), "eyelid_0", "eyelid_1", *(f"jaw_{n}" for n in range(3)))
_NAMES = {"arkit52": BLENDSHAPES, "flame55": _FLAME55}

Columns = Mapping[str, Mapping[str, npt.NDArray[np.number]]]


@dataclass(frozen=True)
class Table:
    """columns: name -> (row,) numbers.  unit: of the values, in words.  indexed: CSV begins with an unnamed index."""

    columns: Mapping[str, npt.NDArray[np.number]]
    unit: str
    indexed: bool = True


def tables_of(columns: Columns, profiles: Mapping[str, str], synthetic: bool) -> dict[str, Table]:
    """The tables of what RowsSink kept.  profiles: of the expressions, by table.  synthetic: nobody was recorded."""
    frames = columns["frames"]
    seconds = frames["t_capture"] - frames["t_capture"][0]
    found = {
        "frames": Table(
            {
                "seq": frames["seq"],
                "t_s": seconds,
                "t_capture": frames["t_capture"],
                "face": frames["face"],
                "tracked": frames["tracked"],
                **dict(zip(CROP_COLUMNS, frames["crop"].T, strict=True)),
                "synthetic": np.full(len(seconds), int(synthetic)),
            },
            "seconds, LSL seconds, crop pixels",
        ),
        "mediapipe": Table(_named(BLENDSHAPES, columns["mediapipe"]["values"]), "0 to 1", False),
    }
    if "emg" in columns:
        found["emg"] = Table(_named(EMG_COLUMNS, columns["emg"]["envelope_uv"][:, _MMM_ORDER]), "microvolt")
        parts = [columns["muscles"][name] for name in ("percent", "asymmetry", "contact")]
        named = _named(muscle_columns(FRIDLUND), np.concatenate(parts, axis=1))
        found["muscles"] = Table(named, "%MVC, percent, contact 0 (off) to 3 (stable)")
    for name, profile in profiles.items():
        if name in columns:
            unit = "0 to 1" if profile == "arkit52" else "standard deviations, radians"
            found[name] = Table(_named(_NAMES[profile], columns[name]["values"]), unit, False)
    if ESTIMATED_MUSCLES in columns:
        said = columns[ESTIMATED_MUSCLES]
        names = [f"{column}_{what}" for what in ("estimated_percent", "estimated_sd") for column in EMG_COLUMNS]
        values = np.concatenate([said[part][:, _MMM_ORDER] for part in ("percent", "spread")], axis=1)
        found[ESTIMATED_MUSCLES] = Table(
            _named(names, values), "per cent, relative: guessed from the picture, not measured"
        )
    return found


def _named(names: tuple[str, ...] | list[str], values: npt.NDArray[np.number]) -> dict[str, npt.NDArray[np.number]]:
    return dict(zip(names, values.T, strict=True))


def csv_bytes(table: Table) -> bytes:
    """A table as text; the same numbers give the same bytes."""
    rows = len(next(iter(table.columns.values())))
    columns = {**({"": np.arange(rows)} if table.indexed else {}), **table.columns}
    texts = [_cells(column) for column in columns.values()]
    out = io.StringIO()
    out.write(",".join(columns) + "\n")
    out.writelines(",".join(row) + "\n" for row in zip(*texts, strict=True))
    return out.getvalue().encode()


def _cells(column: npt.NDArray[np.number]) -> list[str]:
    """Whole numbers as such, seconds to the microsecond, measured values in seven digits."""
    if np.issubdtype(column.dtype, np.integer):
        return [str(value) for value in column.tolist()]
    form = "%.6f" if column.dtype == np.float64 else "%.7g"
    return [form % value for value in (column + 0.0).tolist()]  # no -0


def parquet_bytes(table: Table, seconds: npt.NDArray[np.float64], about: Mapping[str, Any]) -> bytes:
    """A table as Parquet.  seconds: (row,) since the first picture.  about: goes into the file's metadata.

    Raises BadSettings without pyarrow.
    """
    arrow, parquet = _pyarrow(), importlib.import_module("pyarrow.parquet")
    columns = {"frame": np.arange(len(seconds), dtype=np.int32), "t_s": seconds} | dict(table.columns)
    arrays = [arrow.array(np.ascontiguousarray(column), from_pandas=True) for column in columns.values()]
    described = {b"myomirror": json.dumps(about, ensure_ascii=False).encode(), b"unit": table.unit.encode()}
    whole = arrow.Table.from_arrays(arrays, names=list(columns)).replace_schema_metadata(described)
    out = io.BytesIO()
    parquet.write_table(whole, out, compression="zstd")
    return out.getvalue()


def choose_formats(words: str) -> tuple[str, ...]:
    """The formats in this text, "csv,parquet"; an empty one takes CSV, and Parquet too where pyarrow is installed.

    Raises BadSettings for an unknown one, and for Parquet without pyarrow.
    """
    if not words:
        return FORMATS if importlib.util.find_spec("pyarrow") is not None else (CSV,)
    named = [word.strip() for word in words.split(",") if word.strip()]
    unknown = [word for word in named if word not in FORMATS]
    if unknown or not named:
        raise BadSettings(f"there is no format {(unknown or [words])[0]!r}: choose {' or '.join(FORMATS)}, or both")
    if PARQUET in named:
        _pyarrow()
    return tuple(form for form in FORMATS if form in named)


def _pyarrow() -> Any:
    try:
        return importlib.import_module("pyarrow")
    except ImportError:
        raise BadSettings(
            "pyarrow is needed to write Parquet: pip install 'myomirror[process]', or choose --format csv"
        ) from None
