"""Tiny recordings: a session whose live path ran here, stage by stage, so that what it recorded is known to be live."""

import numpy as np
import pytest

from engines.emg.chain import chain_id, preset
from engines.emg.demo_performance import demo_emg
from engines.emg.measures import Calibration
from engines.emg.montage import FRIDLUND
from engines.face.demo_clip import ELECTRODES, DemoClip
from rt import assets
from rt.message import Chunk, Frame
from rt.recording.session_folder import SessionFolder
from rt.sinks.recorder import RecorderSettings, RecorderSink
from rt.sources.looped_clip import LoopedClip
from rt.stage import Context
from rt.stages.crop import CropStage, CropStageSettings
from rt.stages.envelope import EnvelopeStage, EnvelopeStageSettings
from rt.stages.face import FaceSettings, FaceStage
from rt.stages.join import JoinStage, JoinStageSettings
from rt.stages.measures import MeasuresStage, MeasuresStageSettings
from rt.stages.quality import QualityStage, QualityStageSettings
from rt.station import parse_station

RATE_HZ, T0, BLOCK = 4096.0, 700.0, 131
STATION = {"subject": "P01", "camera": {"kind": "device"}, "emg": {"kind": "lsl"}}


def chunks(seconds, gap_at=None):
    """The demo's EMG in chunks of an odd size; one chunk may follow a gap of 0.2 s."""
    raw = demo_emg(RATE_HZ).block(0, round(seconds * RATE_HZ))
    t0 = T0
    for number, begin in enumerate(range(0, len(raw), BLOCK)):
        gap_s = 0.2 if number == gap_at else 0.0
        t0 += gap_s
        data = raw[begin : begin + BLOCK]
        yield Chunk(data, RATE_HZ, t0, begin, "raw", gap_s)
        t0 += len(data) / RATE_HZ


def small_frames(count, start_s=0.5):
    """Pictures without a face, quickly encoded."""
    rng = np.random.default_rng(4)
    for number in range(count):
        picture = np.full((48, 64, 3), 40 + number, np.uint8)
        picture[:, : 1 + number % 60] = rng.integers(0, 255, 3)
        yield Frame(number + 1, T0 + start_s + number / 30, "device", picture)


def face_frames(count, start_s=0.5):
    """The demo's person, who smiles soon."""
    clip = LoopedClip(DemoClip.load().videos[ELECTRODES])
    for number in range(count):
        picture = np.empty(clip.shape, np.uint8)
        clip.read(90 + number, picture)
        yield Frame(number + 1, T0 + start_s + number / 30, "device", picture)


def calibration():
    rest, sd, reference = ((value,) * len(FRIDLUND) for value in (2.0, 0.5, 150.0))
    chain = chain_id(preset("standard"), RATE_HZ)
    return Calibration(chain, FRIDLUND.labels, rest, sd, reference, "maximal, made for a test")


class Live:
    """The stages of a session, walked by hand: an independent twin of rt/offline.py."""

    def __init__(self, folder, scratch):
        calibration().save(scratch / "live-calibration.json")
        self.face = FaceStage(FaceSettings(), Context("face"))
        self.crop = CropStage(CropStageSettings(), Context("crop"))
        self.join = JoinStage(JoinStageSettings(500.0), Context("join"))
        self.quality = QualityStage(QualityStageSettings(), Context("quality"))
        self.envelope = EnvelopeStage(EnvelopeStageSettings(), Context("envelope"))
        path = str(scratch / "live-calibration.json")
        self.measures = MeasuresStage(MeasuresStageSettings(path), Context("measures"))
        self.recorder = RecorderSink(RecorderSettings(codec="ffv1"), Context("recorder", folder.path))
        self.nodes = (self.face, self.crop, self.join, self.quality, self.envelope, self.measures, self.recorder)

    def run(self, frames, emg):
        for node in self.nodes:
            node.open()
        waiting = list(emg)
        for frame in frames:
            while waiting and waiting[0].t0 <= frame.t_capture:  # ahead of the picture, as in a session
                self._signal(waiting.pop(0))
            self._picture(frame)
        for node in self.nodes:
            node.finish()
            node.close()

    def _signal(self, chunk):
        self.recorder.process("emg", chunk)
        for _, quality in self.quality.process("emg", chunk):
            self.measures.process("quality", quality)
        for _, envelope in self.envelope.process("emg", chunk):
            self.recorder.process("envelope", envelope)
            self.join.process("envelope", envelope)
            for _, muscles in self.measures.process("envelope", envelope):
                self.join.process("muscles", muscles)

    def _picture(self, frame):
        self.recorder.process("frame", frame)
        [(_, faced)] = self.face.process("frame", frame)
        [(_, cropped)] = self.crop.process("frame", faced)
        for port, message in self.join.process("frame", cropped):
            if port == "params":
                self.recorder.process("params", message)


def make_session(data, scratch, frames, emg=(), consent=("emg", "video"), synthetic=False, station=STATION, close=True):
    """A recording; what is in it went through a live path's stages."""
    settings = parse_station(dict(station)).model_dump(mode="json")
    folder = SessionFolder.create(data, "P01", consent, settings=settings, synthetic=synthetic)
    Live(folder, scratch).run(frames, emg)
    if close:
        folder.close()
    return folder


@pytest.fixture
def session_maker(tmp_path):
    """make(frames, emg, ...): a new session folder in tmp_path/data."""

    def make(frames, emg=(), **more):
        return make_session(tmp_path / "data", tmp_path, frames, emg, **more)

    return make


@pytest.fixture(scope="session")
def session(tmp_path_factory):
    """Thirty pictures without a face, 1.6 s of EMG with a gap, calibrated; synthetic. Not to be changed."""
    root = tmp_path_factory.mktemp("session")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assets, "find", lambda name: None)
        return make_session(root / "data", root, small_frames(30), chunks(1.6, gap_at=30), synthetic=True)


@pytest.fixture
def frames_of_session():
    """The pictures that went into `session`."""
    return list(small_frames(30))


@pytest.fixture
def pictures_of_a_face():
    """face_frames, where the model that finds faces is installed."""
    if assets.find(assets.FACE_LANDMARKER) is None:
        pytest.skip("face_landmarker.task is not installed: set $MYOMIRROR_ASSETS")
    return face_frames
