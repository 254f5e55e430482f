"""%MVC and asymmetry of the newest moment, and the calibration they are measured with: from a file, or made live."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from engines.emg.measures import Calibration
from engines.emg.montage import FRIDLUND
from engines.emg.quality import Contact
from engines.errors import ChainMismatch, EngineError
from rt import clock
from rt.errors import BadSettings
from rt.live_calibration import SETTLING_S, Collection, Refused, at_rest, with_reference
from rt.message import Chunk, Message, Muscles, Quality
from rt.muscles import measure
from rt.stage import Context, Emit, Node

_EVERY_S = 0.015  # at most about 60 a second
_DEFAULT_S = 5.0
_PATIENCE_S = 2.0  # beyond the seconds asked for, then too few samples came


@dataclass(frozen=True)
class MeasuresStageSettings:
    """The person's calibration."""

    calibration_path: str | None = None  # read when it exists; a live reference is saved there


class MeasuresStage(Node[MeasuresStageSettings]):
    """Commands 'calibrate_rest' and 'calibrate_reference' take the next seconds of envelope (5 when none are said).

    Done, it says so as a CALIBRATION event; what cannot be done is an ALARM and changes nothing.
    """

    Settings = MeasuresStageSettings
    INPUTS: ClassVar[dict[str, type[Message]]] = {"envelope": Chunk, "quality": Quality}
    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"muscles": Muscles}

    def __init__(self, settings: MeasuresStageSettings, context: Context) -> None:
        super().__init__(settings, context)
        scratch = context.scratch / "calibration.json" if context.scratch else None  # outlives a restart at least
        self._path = Path(settings.calibration_path).expanduser() if settings.calibration_path else scratch
        self._calibration: Calibration | None = None
        self._contact = np.full(len(FRIDLUND), Contact.OFF, np.uint8)
        self._contact_known = False
        self._chain, self._rate_hz = "", 0.0
        self._settled_s = 0.0
        self._t_emitted = -math.inf
        self._doing: Literal["", "rest", "reference"] = ""
        self._collection: Collection | None = None
        self._deadline = 0.0
        self._misfit_told = False

    def open(self) -> None:
        """Read the calibration, if there is one. Raises BadSettings when its file is damaged or for other channels."""
        if self._path is None or not self._path.exists():
            return
        try:
            _load_whatever_chain(self._path).for_labels(FRIDLUND.labels)  # which chain runs is not known yet
        except EngineError as error:
            raise BadSettings(str(error)) from error

    def process(self, port: str, message: Message) -> Iterable[Emit]:
        """Take a verdict on the electrodes, or measure the newest moment of the envelope."""
        if isinstance(message, Quality):
            if message.contact.shape == self._contact.shape:
                self._contact[:], self._contact_known = message.contact, True
            return ()
        assert isinstance(message, Chunk)
        if not self._fits(message):
            return ()
        self._follow_chain(message)
        self._collect(message)
        if not len(message.data) or message.t_last - self._t_emitted < _EVERY_S:
            return ()
        self._t_emitted = message.t_last
        muscles = measure(message.t_last, message.data[-1], self._contact, self._calibration, FRIDLUND)
        return [("muscles", muscles)]

    def command(self, name: str, value: Any) -> None:
        """Begin to calibrate."""
        if name == "calibrate_rest":
            self._begin("rest", value)
        elif name == "calibrate_reference":
            self._begin("reference", value)

    def tick(self) -> Iterable[Emit]:
        """Give up a calibration for which no signal comes."""
        if self._collection is not None and clock.now() > self._deadline:
            self._finish(self._collection)
        return ()

    # ------------------------------------------------------------------ the chain

    def _fits(self, chunk: Chunk) -> bool:
        fits = chunk.data.ndim == 2 and chunk.data.shape[1] == len(FRIDLUND)
        if not fits and not self._misfit_told:
            self._misfit_told = True
            found = chunk.data.shape[-1] if chunk.data.ndim else 0
            text = f"the envelope has {found} channels, the station {len(FRIDLUND)}: the muscles are not measured"
            self.context.event("ALARM", text)
        return fits

    def _follow_chain(self, chunk: Chunk) -> None:
        if chunk.gap_s > 0:
            self._settled_s = 0.0
        self._settled_s += len(chunk.data) / chunk.rate_hz
        if chunk.chain == self._chain and chunk.rate_hz == self._rate_hz:
            return
        self._chain, self._rate_hz = chunk.chain, chunk.rate_hz
        self._collection, self._doing = None, ""
        self._calibration = self._loaded()
        self._tell()

    def _loaded(self) -> Calibration | None:
        if self._path is None or not self._path.exists():
            return None
        try:
            return Calibration.load(self._path, self._chain).for_labels(FRIDLUND.labels)
        except EngineError as error:
            self.context.event("ALARM", f"not calibrated: {error}")
            return None

    def _tell(self) -> None:
        found = self._calibration
        text = "" if found is None else found.reference_kind or "rest only"
        self.context.tell(calibration=text)

    # ------------------------------------------------------------------ calibrating

    def _begin(self, what: Literal["rest", "reference"], value: Any) -> None:
        try:
            seconds = _DEFAULT_S if value is None else _seconds(value)
            if not self._rate_hz:
                raise Refused("there is no EMG signal yet")
            if not self._contact_known:
                raise Refused("nothing is known of the electrodes yet")
            if what == "reference" and self._calibration is None:
                raise Refused("measure rest first")
            self._collection = Collection(seconds, self._rate_hz, FRIDLUND)
        except Refused as answer:
            self._refuse(what, answer)
            return
        self._doing, self._deadline = what, clock.now() + seconds + _PATIENCE_S
        task = "rest" if what == "rest" else "contract as strongly as possible"
        self.context.event("CALIBRATION", f"calibrating: {task} for {seconds:g} s", step=what, seconds=seconds)

    def _collect(self, chunk: Chunk) -> None:
        collection = self._collection
        if collection is None:
            return
        interrupted = chunk.gap_s > 0 and collection.begun
        if self._settled_s < SETTLING_S and not interrupted:
            return
        try:
            collection.take(chunk, self._contact)
        except Refused as answer:
            self._end(answer)
            return
        if collection.full:
            self._finish(collection)

    def _finish(self, collection: Collection) -> None:
        try:
            envelope_uv = collection.envelope_uv()
            if self._doing == "rest":
                self._calibration = at_rest(envelope_uv, self._chain, FRIDLUND)
                text = "rest is measured; now the strongest contraction"
            else:
                text = self._take_reference(envelope_uv, collection.rate_hz)
        except Refused as answer:
            self._end(answer)
            return
        self.context.event("CALIBRATION", text, step=self._doing, done=True)
        self._collection, self._doing = None, ""
        self._tell()

    def _take_reference(self, envelope_uv: np.ndarray, rate_hz: float) -> str:
        assert self._calibration is not None, "a reference needs rest"
        found, labels = with_reference(self._calibration, envelope_uv, rate_hz, clock.wall_text())
        self._calibration = found
        if self._path is not None:
            try:
                found.save(self._path)
            except OSError as error:
                why = f"{self._path} cannot be written ({error.strerror})"
                self.context.event("ALARM", f"the calibration holds for this session only: {why}")
        return f"the strongest contraction of {', '.join(labels)} is measured"

    def _end(self, answer: Refused) -> None:
        what, self._collection, self._doing = self._doing, None, ""
        self._refuse(what, answer)

    def _refuse(self, what: str, answer: Refused) -> None:
        self.context.event("ALARM", f"not calibrated: {answer}", step=what)


def _load_whatever_chain(path: Path) -> Calibration:
    try:
        return Calibration.load(path, "")
    except ChainMismatch:  # the file itself is sound
        return Calibration.load(path, json.loads(path.read_text())["chain_id"])


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Refused(f"calibrating takes a number of seconds, not {value!r}")
    return float(value)
