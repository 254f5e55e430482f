"""One row per picture of everything that the stages found out about it; what nobody can say is NaN."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from engines.emg.montage import FRIDLUND
from engines.face.blendshapes import BLENDSHAPES
from rt.message import Estimate, Expression, Message, Muscles, Parameters
from rt.recording.streams import ESTIMATED_MUSCLES, EXPRESSION_OF
from rt.stage import Context, Emit, Node

LIMIT_S = 0.05
"""Nothing measured is carried across more than this (DESIGN 5)."""

Floats = npt.NDArray[np.float32]
Parts = Mapping[str, npt.NDArray[np.number]]


@dataclass(frozen=True)
class RowsSettings:
    """emg: whether there is any."""

    emg: bool = True


class RowsSink(Node[RowsSettings]):
    """Keeps the numbers of every picture, in the order of the pictures.

    params: one per picture.  expression, estimate: with the picture's number, or of the newest sample at its time.
    """

    Settings = RowsSettings
    INPUTS: ClassVar[dict[str, type[Message]]] = {"params": Parameters, "expression": Expression, "estimate": Estimate}

    def __init__(self, settings: RowsSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._params: list[Parts] = []
        self._places: dict[int, int] = {}  # number of a picture -> row
        self._networks: dict[str, dict[int, Parts]] = {}  # what networks said -> number of a picture -> its parts
        self._newest: dict[str, tuple[float, Parts]] = {}  # what networks said of a moment, not of a picture
        self.profiles: dict[str, str] = {}  # of the expressions, by table

    def __len__(self) -> int:
        return len(self._params)

    def process(self, port: str, message: Message) -> Iterable[Emit]:
        """Keep what one message says."""
        if isinstance(message, Parameters):
            self._keep(message)
        elif isinstance(message, Expression):
            table = EXPRESSION_OF[message.source]
            self.profiles[table] = message.profile
            self._hear(table, message.seq, message.t, {"values": message.values})
        elif isinstance(message, Estimate):
            self._hear(
                ESTIMATED_MUSCLES, message.seq, message.t, {"percent": message.percent, "spread": message.spread}
            )
        return ()

    def _keep(self, found: Parameters) -> None:
        self._places[found.seq] = len(self._params)
        for table, (t, parts) in self._newest.items():
            if 0 <= found.t_capture - t <= LIMIT_S:
                self._networks.setdefault(table, {})[found.seq] = parts
        self._params.append(_parts(found))

    def _hear(self, table: str, seq: int, t: float, arrays: dict[str, np.ndarray]) -> None:
        parts = {name: array.astype(np.float32) for name, array in arrays.items()}  # a copy
        self._networks.setdefault(table, {})
        if seq < 0:
            self._newest[table] = t, parts
        else:
            self._networks[table][seq] = parts

    def columns(self) -> dict[str, dict[str, npt.NDArray[np.number]]]:
        """By table, then by part: (row, ...) arrays, rows in the order of the pictures.

        "frames": seq, t_capture (LSL seconds), face, tracked (0 or 1), crop (row, 6).  "mediapipe": values (row, 52).
        "emg": envelope_uv (row, channel), montage order.  "muscles": percent (row, channel), asymmetry (row, pair),
        contact (row, channel).  "estimated_muscles": percent, spread (row, channel).  "expression_camera",
        "expression_emg": values.
        """
        found: dict[str, dict[str, npt.NDArray[np.number]]] = {}
        for name in self._params[0] if self._params else ():
            table, _, part = name.partition(".")
            if self.settings.emg or table not in ("emg", "muscles"):
                found.setdefault(table, {})[part] = np.stack([row[name] for row in self._params])
        for table, said in self._networks.items():
            if said:
                found[table] = self._in_rows(said)
        return found

    def _in_rows(self, said: Mapping[int, Parts]) -> dict[str, npt.NDArray[np.number]]:
        first = next(iter(said.values()))
        rows: dict[str, npt.NDArray[np.number]] = {
            name: np.full((len(self), len(part)), np.nan, np.float32) for name, part in first.items()
        }
        for seq, parts in said.items():
            for name, part in parts.items():
                rows[name][self._places[seq]] = part
        return rows


def _parts(found: Parameters) -> Parts:
    """A picture's numbers by "table.part"."""
    face, crop = found.face, found.crop_from_frame
    return {
        "frames.seq": np.asarray(found.seq),
        "frames.t_capture": np.asarray(found.t_capture),
        "frames.face": np.asarray(int(face is not None)),
        "frames.tracked": np.asarray(int(found.tracked)),
        "frames.crop": _nothing(6) if crop is None else crop.ravel().astype(np.float32),
        "mediapipe.values": _nothing(len(BLENDSHAPES)) if face is None else face.blendshapes.astype(np.float32),
        **_muscles(found.muscles),
    }


def _muscles(muscles: Muscles | None) -> Parts:
    channels, pairs = len(FRIDLUND), len(FRIDLUND.pairs())
    if muscles is None:
        sizes = {"emg.envelope_uv": channels, "muscles.percent": channels, "muscles.asymmetry": pairs}
        return {**{name: _nothing(size) for name, size in sizes.items()}, "muscles.contact": _nothing(channels)}
    return {
        "emg.envelope_uv": muscles.envelope_uv,
        "muscles.percent": muscles.percent_mvc,
        "muscles.asymmetry": muscles.asymmetry,
        "muscles.contact": muscles.contact.astype(np.float32),
    }


def _nothing(size: int) -> Floats:
    return np.full(size, np.nan, np.float32)
