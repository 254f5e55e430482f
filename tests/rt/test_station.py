"""Station files: what is understood, what is refused and in which words, and where relative paths lead."""

import contextlib
import typing
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rt.errors import BadSettings
from rt.station import EXAMPLE, Station, parse_station, read_station, recording_into


def written(folder: Path, text: str) -> Path:
    path = folder / "station.yaml"
    path.write_text(text)
    return path


def test_the_example_is_a_station_and_says_what_it_means(tmp_path):
    station = read_station(written(tmp_path, EXAMPLE))
    assert station.subject == "P01"
    assert station.camera.kind == "device"
    assert station.recording.consent.emg
    assert not station.recording.consent.video


def test_everything_has_a_default_and_none_of_them_records_or_leaves_the_machine():
    station = parse_station({})
    assert not station.recording.enabled
    assert not station.lsl_out.enabled
    assert station.emg.reach == "machine"
    assert station.page.host == "127.0.0.1"
    assert not any(station.recording.consent.model_dump().values())


def test_relative_paths_are_meant_from_where_the_file_is(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/face.mp4").touch()
    text = "camera: {kind: file, path: a/face.mp4}\nenvelope: {calibration: p.json}\nrecording: {folder: kept}\n"
    station = read_station(written(tmp_path, text))
    assert station.camera.path == tmp_path / "a/face.mp4"
    assert station.envelope.calibration == tmp_path / "p.json"
    assert station.recording.folder == tmp_path / "kept"
    assert read_station(written(tmp_path, f"recording: {{folder: {tmp_path}/x}}")).recording.folder == tmp_path / "x"


def test_home_is_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    station = read_station(written(tmp_path, "recording: {folder: ~/kept}"))
    assert station.recording.folder == tmp_path / "home" / "kept"


def sections(model=Station, prefix=()):
    """(path, section class) of the station and all of its sections."""
    yield prefix, model
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and hasattr(kind, "model_fields"):
            yield from sections(kind, (*prefix, name))


@pytest.mark.parametrize(("path", "model"), [pytest.param(p, m, id=".".join(p) or "station") for p, m in sections()])
def test_a_slip_of_the_pen_names_the_key_that_was_meant(path, model):
    """In every section, for every key: one letter doubled."""
    for name in model.model_fields:
        wrong = name[:2] + name[1:]
        content: typing.Any = {wrong: 1}
        for part in reversed(path):
            content = {part: content}
        with pytest.raises(BadSettings) as caught:
            parse_station(content)
        assert f"did you mean {name!r}?" in str(caught.value)
        assert ".".join((*path, wrong)) in str(caught.value)


def test_every_key_is_described_or_speaks_for_itself():
    """What is not described is a plain word or carries its unit."""
    for path, model in sections():
        for name, field in model.model_fields.items():
            assert field.description or name.isidentifier(), (path, name)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"camera": {"width": 10}}, "camera.width is 10"),
        ({"camera": {"kind": "webcam"}}, "'webcam'"),
        ({"emg": {"channels": ["F1"]}}, "emg.channels"),
        ({"envelope": {"mains_hz": 55}}, "envelope.mains_hz is 55"),
        ({"lsl_out": {"prefix": "a b"}}, "lsl_out.prefix is 'a b'"),
        ({"recording": {"hold_signal_s": 500}}, "recording.hold_signal_s is 500"),
        ({"subject": "../../etc"}, "subject is '../../etc'"),
        ({"subject": ""}, "subject is ''"),
        ({"page": {"target_percent": 90, "limit_percent": 80}}, "must be above"),
        ({"camera": {"fps": float("nan")}}, "camera.fps is nan"),
        ({"camera": {"widht": 1, "hieght": 2}}, "(and 1 more)"),
    ],
)
def test_values_that_cannot_be(content, said):
    with pytest.raises(BadSettings) as caught:
        parse_station(content, "here.yaml")
    assert str(caught.value).startswith("here.yaml: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_none(tmp_path):
    with pytest.raises(BadSettings, match="cannot be read"):
        read_station(tmp_path)
    with pytest.raises(BadSettings, match="cannot be read"):
        (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
        read_station(tmp_path / "binary")
    with pytest.raises(BadSettings, match="larger than 1 MiB"):
        read_station(written(tmp_path, "#" * (1 << 20) + "#"))
    with pytest.raises(BadSettings, match="no YAML"):
        read_station(written(tmp_path, "a: !!python/object/apply:os.system ['true']"))  # never executed
    with pytest.raises(BadSettings, match="holds a str"):
        read_station(written(tmp_path, "hello"))


WORDS = st.sampled_from([*Station.model_fields, "kind", "path", "x"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.dictionaries(WORDS | st.integers() | st.none(), VALUES, max_size=4))
def test_whatever_stands_in_the_file_it_is_a_station_or_one_sentence(tmp_path, content):
    path = written(tmp_path, yaml.safe_dump(content))
    with contextlib.suppress(BadSettings):
        station = read_station(path)
        assert parse_station(station.model_dump()) == station


def test_recording_into_a_folder_needs_consent(tmp_path):
    station = parse_station({"recording": {"consent": {"video": True}}})
    kept = recording_into(station, tmp_path)
    assert kept.recording.enabled
    assert kept.recording.folder == tmp_path
    with pytest.raises(BadSettings, match="consent"):
        recording_into(parse_station({}), tmp_path)


def test_electrodes_are_removed_where_the_station_says_so(tmp_path):
    assert parse_station({}).restore is None
    for off in ("off", "null", "false"):
        assert read_station(written(tmp_path, f"restore: {off}")).restore is None
    for on in ("on", "{}"):
        restore = read_station(written(tmp_path, f"restore: {on}")).restore
        assert (restore.bundle, restore.view, restore.when_down) == ("restore-cpu", "restored", "last_good")
    with pytest.raises(BadSettings, match=r"unknown key 'restore\.bundel': did you mean 'bundle'"):
        read_station(written(tmp_path, "restore: {bundel: x}"))
    with pytest.raises(BadSettings, match=r"restore\.when_down is 'hide'"):
        read_station(written(tmp_path, "restore: {when_down: hide}"))


def test_a_bundle_is_a_shipped_one_or_a_path_from_where_the_file_is(tmp_path):
    def bundle(given):
        return read_station(written(tmp_path, f"restore: {{bundle: {given}}}")).restore.bundle

    assert bundle("restore-cpu") == "restore-cpu"
    (tmp_path / "mine").mkdir()
    assert bundle("mine") == str(tmp_path / "mine")
    assert bundle("../theirs") == str(tmp_path / "../theirs")


def test_networks_between_expression_and_muscle_are_off_until_the_station_wants_them(tmp_path):
    station = parse_station({})
    assert (station.expression, station.estimate) == (None, None)
    station = read_station(written(tmp_path, "expression: on\nestimate: on\n"))
    assert (station.expression.bundle, station.expression.every, station.expression.device) == ("encoder-cpu", 1, "cpu")
    assert (station.estimate.exp2emg, station.estimate.emg2exp) == ("exp2emg", "emg2exp")
    for off in ("off", "null", "false"):
        station = read_station(written(tmp_path, f"expression: {off}\nestimate: {{emg2exp: {off}}}\n"))
        assert station.expression is None
        assert (station.estimate.exp2emg, station.estimate.emg2exp) == ("exp2emg", None)
    on = read_station(written(tmp_path, "estimate: {exp2emg: on, emg2exp: off}"))
    assert (on.estimate.exp2emg, on.estimate.emg2exp) == ("exp2emg", None)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("expression: {bundel: x}", r"unknown key 'expression\.bundel': did you mean 'bundle'"),
        ("expression: {every: 0}", r"expression\.every is 0"),
        ("expression: {every: 11}", r"expression\.every is 11"),
        ("expression: {device: gpu}", r"expression\.device is 'gpu'"),
        ("estimate: {exp2face: x}", r"unknown key 'estimate\.exp2face': did you mean '(emg2exp|exp2emg)'"),
        ("estimates: on", r"unknown key 'estimates': did you mean 'estimate'"),
    ],
)
def test_what_is_misspelt_there_is_named(tmp_path, text, sentence):
    with pytest.raises(BadSettings, match=sentence):
        read_station(written(tmp_path, text))


def test_their_bundles_are_shipped_ones_or_paths_from_where_the_file_is(tmp_path):
    (tmp_path / "mine").mkdir()
    text = "expression: {bundle: mine}\nestimate: {exp2emg: ../theirs, emg2exp: emg2exp}\n"
    station = read_station(written(tmp_path, text))
    assert station.expression.bundle == str(tmp_path / "mine")
    assert station.estimate.exp2emg == str(tmp_path / "../theirs")
    assert station.estimate.emg2exp == "emg2exp"
