"""What a station becomes for a calibration, and what is refused before anybody sits down."""

import os

import pytest

from calibration.guide_session import calibration_graph, calibration_station, movements_to_fit, person_folder_for
from rt.errors import BadSettings, MissingDevice
from rt.person_files import EMG_CALIBRATION
from rt.station import parse_station

SMILE = "pixel-smile-open"


def station(tmp_path, **sections):
    made_up = {"camera": {"kind": "synthetic"}, "emg": {"kind": "synthetic"}, "practise": {"people": str(tmp_path)}}
    return parse_station({"subject": "P01", **made_up, **sections})


def test_nothing_is_recorded_or_sent_on_and_no_network_guesses(tmp_path):
    keep = {"enabled": True, "consent": {"emg": True, "video": True}}
    found = station(tmp_path, recording=keep, lsl_out={"enabled": True}, restore={"view": "raw"})
    ready = calibration_station(found, "P02", None)
    assert ready.subject == "P02"
    assert not ready.recording.enabled
    assert not ready.lsl_out.enabled
    assert ready.restore is not None
    assert ready.restore.view == "restored"
    assert ready.expression is ready.estimate is None


def test_muscles_are_calibrated_once_unless_asked_for(tmp_path):
    found = station(tmp_path)
    first = calibration_station(found, "P02", None)
    assert first.emg.kind == "synthetic"
    assert first.envelope.calibration == tmp_path / "P02" / EMG_CALIBRATION
    (tmp_path / "P02").mkdir()
    first.envelope.calibration.touch()
    assert calibration_station(found, "P02", None).emg.kind == "none"
    assert calibration_station(found, "P02", True).emg.kind == "synthetic"
    assert calibration_station(found, "P03", False).emg.kind == "none"
    with pytest.raises(BadSettings, match="no amplifier"):
        calibration_station(station(tmp_path, emg={"kind": "none"}), "P02", True)


def test_the_movements_are_those_asked_for_else_the_stations_else_a_smile(tmp_path):
    found = station(tmp_path, practise={"map": "pixel-lip-pucker"})
    assert movements_to_fit(found, ()) == ("pixel-lip-pucker",)
    assert movements_to_fit(found, ("pixel-happy", SMILE, "pixel-happy")) == ("pixel-happy", SMILE)
    assert movements_to_fit(station(tmp_path, practise={"map": "pixel-smile"}), ()) == (SMILE,)
    with pytest.raises(BadSettings, match="cannot be fitted"):
        movements_to_fit(found, ("pixel-smile",))


def test_the_graph_fits_and_the_guide_stands_beside_the_mirror(tmp_path):
    ready = calibration_station(station(tmp_path), "P02", None)
    graph = calibration_graph(ready, (SMILE,), "t" * 43, 0, 0.0, 3.0)
    graph.check_nodes()
    assert graph.by_name["guide"].group not in ("vision", "page", "emg")
    assert graph.by_name["page"].settings["guided"]
    assert {edge.kind for edge in graph.edges if "guide" in edge.name} == {"latest"}
    assert "recorder" not in graph.by_name


def test_without_a_face_model_a_camera_cannot_calibrate(tmp_path, monkeypatch):
    monkeypatch.setattr("calibration.guide_session.assets.find", lambda name: None)
    ready = calibration_station(station(tmp_path, camera={"kind": "device"}), "P02", None)
    with pytest.raises(MissingDevice, match="assets fetch"):
        calibration_graph(ready, (SMILE,), "t" * 43, 0, 0.0, 3.0)


def test_the_persons_folder_is_private_and_goes_when_nothing_was_kept(tmp_path):
    ready = calibration_station(station(tmp_path / "people"), "P02", None)
    with person_folder_for(ready) as folder:
        assert folder == tmp_path / "people" / "P02"
        assert folder.stat().st_mode & 0o777 == folder.parent.stat().st_mode & 0o777 == 0o700
    assert not folder.parent.exists()
    with person_folder_for(ready) as folder:
        (folder / "kept").touch()
    assert (folder / "kept").exists()


def test_a_folder_that_cannot_be_is_refused_at_once(tmp_path):
    (tmp_path / "file").touch()
    ready = calibration_station(station(tmp_path / "file"), "P02", None)
    with pytest.raises(BadSettings, match=r"practise\.people"), person_folder_for(ready):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_somebody_elses_is_refused(tmp_path):
    (tmp_path / "P02").mkdir(mode=0o500)
    ready = calibration_station(station(tmp_path), "P02", None)
    with pytest.raises(BadSettings, match="cannot be written"), person_folder_for(ready):
        pass
