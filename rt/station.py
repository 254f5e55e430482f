"""The station file: one YAML that says which camera, which amplifier, and what to do with them.

Settings are frozen and checked before anything starts. A mistake is one sentence: what, found what, do what; an
unknown key names the nearest known one. `myomirror station schema` prints the JSON Schema for editors.
"""

import difflib
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from engines.emg.chain import PRESETS
from rt.errors import BadSettings

_LONGEST_FILE = 1 << 20
_SYNTHETIC_SIZE = (640, 480)
SUBJECT_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class CameraSection(_Section):
    """Where the picture comes from."""

    kind: Literal["device", "file", "synthetic"] = Field("device", description="a V4L2 camera, a video, or synthetic")
    device: int | str = Field(0, description="number of /dev/videoN, or its path (kind: device)")
    path: Path | None = Field(None, description="the video file (kind: file)")
    loop: bool = Field(True, description="start the file again when it ends (kind: file)")
    width: int = Field(640, ge=160, le=3840, description="pixels")
    height: int = Field(480, ge=120, le=2160, description="pixels")
    fps: float = Field(30.0, ge=1, le=240)


class EmgSection(_Section):
    """Where the muscle signal comes from."""

    kind: Literal["lsl", "synthetic", "none"] = Field(
        "lsl", description="a LabStreamingLayer stream, synthetic, or none"
    )
    name: str = Field("", description="LSL stream name; empty = any")
    type: str = Field("EMG", description="LSL stream type; empty = any")
    source_id: str = Field("", description="LSL source_id; empty = any")
    channels: dict[str, str] = Field(
        default={}, description="stream label -> montage label (F1..F22), where the stream's own labels differ"
    )
    labels: list[str] = Field(default=[], description="in stream order, only for a stream that does not name channels")
    unit: str = Field("", description="only for a stream that does not say its unit: microvolt, millivolt, volt")
    reach: Literal["machine", "lan"] = Field(
        "machine", description="how far LSL looks: this machine only, or the local network"
    )
    wait_s: float = Field(10.0, ge=0, le=600, description="how long to look for the stream at the start")
    range_uv: float = Field(187_500.0, gt=0, description="half the amplifier's input range, for the clipping test")


class EnvelopeSection(_Section):
    """The causal EMG chain (FACTS 1.3 presets)."""

    preset: str = Field("standard", description=f"one of {', '.join(PRESETS)}")
    mains_hz: Literal[50, 60] | None = Field(50, description="mains frequency to notch out; null = none")
    calibration: Path | None = Field(
        None, description="JSON with rest and reference per muscle; also where it is saved"
    )


class FaceSection(_Section):
    """Face landmarks and the crop."""

    model: Path | None = Field(None, description="face_landmarker.task; default: the installed asset")
    follow: Literal["openvino", "mediapipe"] | None = Field(
        None, description="what runs MediaPipe's networks on a face that was found; null = the faster one"
    )
    threads: int | None = Field(2, ge=1, le=256, description="CPU cores for following in OpenVINO; null = all")


class _NetworkSection(_Section):
    """What runs a network.  As it stands, of one beside the picture's way."""

    backend: Literal["tensorrt", "torch", "openvino", "onnxruntime"] | None = Field(
        None, description="what runs the network; null = the fastest that is there"
    )
    device: Literal["auto", "cuda", "cpu"] = Field(
        "cpu", description="cpu = in a process beside the picture's; else in the one that owns the GPU"
    )
    precision: Literal["fp32", "bf16", "fp16"] | None = Field(None, description="null = the backend's fastest")
    threads: int | None = Field(1, ge=1, le=256, description="CPU cores for the network; null = all")


class RestoreSection(_NetworkSection):
    """Electrodes removed from the live picture."""

    bundle: str = Field("restore-cpu", description="a shipped bundle's name or the path of one")
    view: Literal["raw", "restored", "edit"] = Field(
        "restored", description="what is shown at first: the camera's own, electrodes removed, or where they were found"
    )
    device: Literal["auto", "cuda", "cpu"] = "auto"  # it is in the picture's own way
    threads: int | None = Field(None, ge=1, le=256, description="CPU cores for the network; null = all")
    when_down: Literal["last_good", "bars", "raw"] = Field(
        "last_good",
        description="what is shown when electrodes cannot be removed, in place of page.when_stale: the last good "
        "picture with a badge, no picture, or the camera's own",
    )


class ExpressionSection(_NetworkSection):
    """What the face does, read from the picture."""

    bundle: str = Field(
        "encoder-cpu",
        description="a face encoder: a shipped bundle's name or the path of one; 'mediapipe' = the blendshapes of the "
        "landmark model, for an exp2emg that learned from them; electrodes over the brows disturb them",
    )
    every: int = Field(1, ge=1, le=10, description="1 = every picture, 2 = every second; the page glides in between")


class EstimateSection(_Section):
    """Expression and muscle, both ways (EIFER). Estimates are relative, and never shown or kept as measured EMG."""

    exp2emg: str | None = Field(
        "exp2emg", description="muscles from the picture: a shipped bundle's name or the path of one; off or null = no"
    )
    emg2exp: str | None = Field(
        "emg2exp", description="a face from the muscles alone: a bundle as above; off or null = no"
    )

    @field_validator("exp2emg", "emg2exp", mode="before")
    @classmethod
    def _switch(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool):
            return info.field_name if value else None
        return None if value == "off" else value


class MotionSection(_NetworkSection):
    """The face without its head's turn (eMotion-GAN): a frontal view, the head's pose, how evenly the face moves."""

    bundle: str | None = Field(
        None,
        description="a network of emotion_gan, a shipped bundle's name or the path of one; off or null = the person's "
        "own pixels, turned by the 3D face",
    )
    strategy: Literal["neutral-apex", "frame-to-frame"] = Field(
        "neutral-apex", description="a movement is one from the neutral face, or (network only) from the picture before"
    )
    every: int = Field(2, ge=1, le=10, description="1 = every picture, 2 = every second one")
    face_camera_deg: float = Field(
        20.0,
        ge=5,
        le=45,
        description="turned further than that, the page asks to face the camera and no symmetry is told; on 13 "
        "synthetic people it was 3.2 percentage points off the frontal view's at 10 degrees, 5.0 at 20 and 6.8 at 30",
    )

    @field_validator("bundle", mode="before")
    @classmethod
    def _switch(cls, value: Any) -> Any:
        return None if value in ("off", False) else value


class PractiseSection(_Section):
    """The movement to practise, shown on the person's own face (Pixel-RR, or our mesh)."""

    map: str = Field(
        "pixel-smile-open",
        description="a shipped bundle's name or the path of one; of an expression editor BUNDLE:EXPRESSION",
    )
    view: Literal["camera", "practise", "beside"] = Field(
        "camera", description="what is shown at first; beside = own face and movement next to each other"
    )
    amount: float = Field(1.0, ge=0, le=1)
    side: Literal["both", "left", "right"] = Field("both", description="the person's own side that is to move")
    people: Path = Field(
        Path("people"),
        description="one folder per subject, with the maps that `myomirror calibrate` has fitted to that person",
    )


class PageSection(_Section):
    """The live page."""

    host: str = "127.0.0.1"
    port: int = Field(0, ge=0, le=65535, description="0 = any free port")
    open_browser: bool = True
    mirror: bool = Field(True, description="true mirror (False: as others see the person)")
    muscles: list[str] = Field(
        default=["medial_frontalis", "orbicularis_oculi", "zygomaticus", "orbicularis_oris"],
        description="muscles whose bars are shown at first",
    )
    trained: str = Field("zygomaticus", description="the muscle that should rise")
    forbidden: str = Field("orbicularis_oculi", description="the muscle that should stay low")
    target_percent: float = Field(40.0, ge=1, le=200, description="%MVC, lower edge of the target zone")
    limit_percent: float = Field(90.0, ge=1, le=300, description="%MVC, upper limit")
    when_stale: Literal["camera", "last", "bars"] = Field(
        "last", description="what is shown when the processed picture is late: raw camera, last good frame, bars only"
    )


class LimitsSection(_Section):
    """How old something may be and still be shown as live."""

    frame_ms: float = Field(500.0, ge=50, le=5000)
    emg_ms: float = Field(500.0, ge=50, le=5000)


class ConsentSection(_Section):
    """What the person has agreed to; the recorder writes nothing else."""

    emg: bool = False
    video: bool = False
    training: bool = False
    sharing: bool = False


class RecordingSection(_Section):
    """What is kept, and where."""

    enabled: bool = False
    folder: Path = Field(Path("recordings"), description="one folder per session is made in it")
    codec: Literal["h264", "mjpeg", "ffv1"] = "h264"
    consent: ConsentSection = ConsentSection()
    hold_video_s: float = Field(3.0, gt=0, le=30, description="how long pictures wait for a recorder that restarts")
    hold_signal_s: float = Field(60.0, gt=0, le=120, description="the same for signals")


class LslOutSection(_Section):
    """LSL outlets for envelopes, expression values and events."""

    enabled: bool = False
    prefix: str = Field("MyoMirror", pattern=r"^[A-Za-z0-9_-]{1,32}$")


class Station(_Section):
    """Everything a session needs to know."""

    subject: str = Field("demo", pattern=SUBJECT_PATTERN, description="pseudonym, never a name")
    camera: CameraSection = CameraSection()
    emg: EmgSection = EmgSection()
    envelope: EnvelopeSection = EnvelopeSection()
    face: FaceSection = FaceSection()
    restore: RestoreSection | None = Field(None, description="electrodes removed from the picture; off or null = no")
    expression: ExpressionSection | None = Field(
        None, description="what the face does, read by a network; off or null = no"
    )
    estimate: EstimateSection | None = Field(
        None, description="muscles from the picture, a face from the muscles; off or null = no"
    )
    motion: MotionSection | None = Field(
        None, description="the face from the front however the head is turned, and its symmetry; off or null = no"
    )
    practise: PractiseSection = PractiseSection()
    page: PageSection = PageSection()
    limits: LimitsSection = LimitsSection()
    recording: RecordingSection = RecordingSection()
    lsl_out: LslOutSection = LslOutSection()
    placement: dict[str, list[str]] = Field(default={}, description="process group -> nodes, to change the default")

    @field_validator("restore", "expression", "estimate", "motion", mode="before")
    @classmethod
    def _switch(cls, value: Any) -> Any:
        """YAML reads `off` as False and `on` as True."""
        return {False: None, True: {}}.get(value, value) if isinstance(value, bool) else value


def read_station(path: Path) -> Station:
    """The station in this YAML file. Raises BadSettings with one sentence."""
    try:
        text = path.read_text()[: _LONGEST_FILE + 1]
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"the station file {path} cannot be read ({error}): check the path") from error
    if len(text) > _LONGEST_FILE:
        raise BadSettings(f"the station file {path} is larger than 1 MiB: it cannot be one")
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        raise BadSettings(f"the station file {path} is no YAML{line}: {getattr(error, 'problem', error)}") from error
    if content is None:
        raise BadSettings(f"the station file {path} is empty: start from `myomirror station example`")
    if not isinstance(content, dict):
        raise BadSettings(f"the station file {path} holds a {type(content).__name__}, not `key: value` lines")
    station = _anchored(parse_station(content, str(path)), path.parent)
    for name, file in (("camera.path", station.camera.path), ("face.model", station.face.model)):
        if file is not None and not file.is_file():
            raise BadSettings(f"{path}: {name} is {str(file)!r}, and there is no such file")
    return station


def parse_station(content: dict[str, Any], origin: str = "the station") -> Station:
    """Validated settings from a mapping. Raises BadSettings with one sentence."""
    try:
        station = Station.model_validate(content)
    except ValidationError as error:
        raise BadSettings(f"{origin}: {_sentence(error)}") from error
    if station.camera.kind == "file" and station.camera.path is None:
        raise BadSettings(f"{origin}: camera.kind is 'file', so camera.path must name a video")
    size = (station.camera.width, station.camera.height)
    if station.camera.kind == "synthetic" and size != _SYNTHETIC_SIZE:
        raise BadSettings(f"{origin}: the synthetic camera is 640 x 480, found {size[0]} x {size[1]}: leave both out")
    if station.envelope.preset not in PRESETS:
        known = ", ".join(PRESETS)
        raise BadSettings(f"{origin}: envelope.preset is {station.envelope.preset!r}, known are {known}")
    if station.page.limit_percent <= station.page.target_percent:
        raise BadSettings(
            f"{origin}: page.limit_percent ({station.page.limit_percent:g}) must be above "
            f"page.target_percent ({station.page.target_percent:g})"
        )
    if station.recording.enabled and not (station.recording.consent.emg or station.recording.consent.video):
        raise BadSettings(f"{origin}: recording.enabled without consent: set recording.consent.emg and/or .video")
    return station


def _anchored(station: Station, folder: Path) -> Station:
    """Relative paths in a station file are meant from where the file is."""

    def at(path: Path | None) -> Path | None:
        return None if path is None else (folder / path.expanduser())

    def bundle(given: str) -> str:
        """A path where there is one beside the station file, else the name of a shipped bundle."""
        path = folder / Path(given).expanduser()
        return str(path) if path.exists() or Path(given).parent != Path() else given

    def bundles(section: Any, *names: str) -> Any:
        given = {} if section is None else {name: getattr(section, name) for name in names}
        return section and section.model_copy(update={name: path and bundle(path) for name, path in given.items()})

    return station.model_copy(
        update={
            "camera": station.camera.model_copy(update={"path": at(station.camera.path)}),
            "face": station.face.model_copy(update={"model": at(station.face.model)}),
            "restore": bundles(station.restore, "bundle"),
            "expression": bundles(station.expression, "bundle"),
            "estimate": bundles(station.estimate, "exp2emg", "emg2exp"),
            "motion": bundles(station.motion, "bundle"),
            "envelope": station.envelope.model_copy(update={"calibration": at(station.envelope.calibration)}),
            "practise": station.practise.model_copy(update={"people": at(station.practise.people)}),
            "recording": station.recording.model_copy(update={"folder": at(station.recording.folder)}),
        }
    )


def _sentence(error: ValidationError) -> str:
    first, more = error.errors()[0], error.error_count() - 1
    where = ".".join(str(part) for part in first["loc"])
    rest = f" (and {more} more)" if more else ""
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(first["loc"][-1]), known := _known_keys(first["loc"][:-1]), 1, 0.0)
        return f"unknown key {where!r}: did you mean {near[0]!r}? known are {', '.join(known)}{rest}"
    return f"{where} is {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}{rest}"


def _known_keys(where: tuple[int | str, ...]) -> list[str]:
    model: Any = Station
    for part in where:
        found = model.model_fields[part].annotation
        model = next((kind for kind in get_args(found) if hasattr(kind, "model_fields")), found)
    return list(model.model_fields)


def recording_into(station: Station, folder: Path) -> Station:
    """The same station, recording into this folder. Raises BadSettings without consent to anything."""
    content = station.model_dump()
    content["recording"] |= {"enabled": True, "folder": folder}
    return parse_station(content)


EXAMPLE = """\
# A MyoMirror station. Everything left out has the default of `myomirror station schema`.
subject: P01                    # a pseudonym, never a name
camera:
  kind: device                  # device | file | synthetic
  device: 0                     # /dev/video0
  width: 640
  height: 480
  fps: 30
emg:
  kind: lsl                     # lsl | synthetic | none
  type: EMG
  # name: MyAmplifier           # to choose among several streams
  # channels: {ch1: F19, ch2: F20}   # stream label -> montage label, when the labels differ
envelope:
  preset: standard              # fast | standard | calm
  mains_hz: 50
  calibration: P01-calibration.json
restore:                        # electrodes removed from the picture; or `restore: off`
  bundle: restore-cpu
  when_down: last_good          # last_good | bars | raw: what is shown when they cannot be removed
# expression:                   # what the face does, read by a network: for the estimates, and for the page
#   bundle: encoder-cpu         # or encoder-gpu, mediapipe
#   every: 1                    # 2 = every second picture
# estimate:                     # relative, never measured
#   exp2emg: exp2emg            # muscles from the picture, also without an amplifier
#   emg2exp: emg2exp            # a face from the muscles alone
# motion:                       # the face from the front, head pose, symmetry of the movement; needs ICT-FaceKit
#   face_camera_deg: 20         # turned further than that, the page asks to face the camera
# practise:
#   map: pixel-smile-open       # the movement that comes first
#   people: people              # each person's own maps, from `myomirror calibrate STATION --subject ID`
page:
  muscles: [zygomaticus, orbicularis_oculi]
  trained: zygomaticus
  forbidden: orbicularis_oculi
  target_percent: 40
recording:
  enabled: true
  folder: recordings
  consent: {emg: true, video: false, training: false, sharing: false}
lsl_out:
  enabled: false
"""
