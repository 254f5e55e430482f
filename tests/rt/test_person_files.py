"""Whose files a session uses."""

import pytest

from engines.emg.montage import FRIDLUND
from rt.errors import BadSettings
from rt.graph import build_settings
from rt.graphs.therapy import therapy_graph
from rt.person_files import EMG_CALIBRATION, for_subject, person_folder
from rt.sinks.page import hello
from rt.station import parse_station, read_station


def station(tmp_path, **envelope):
    return parse_station({"subject": "P01", "practise": {"people": str(tmp_path)}, "envelope": envelope})


def test_the_stations_own_subject_keeps_what_the_station_says(tmp_path):
    found = station(tmp_path, calibration=tmp_path / "c.json")
    assert for_subject(found, None) == for_subject(found, "P01") == found
    assert person_folder(found) == tmp_path / "P01"


def test_somebody_else_never_gets_the_named_persons_muscles(tmp_path):
    found = for_subject(station(tmp_path, calibration=tmp_path / "c.json"), "P02")
    assert found.subject == "P02"
    assert found.envelope.calibration == tmp_path / "P02" / EMG_CALIBRATION


def test_without_a_named_file_the_own_folders_is_used_once_it_is_there(tmp_path):
    found = station(tmp_path)
    assert for_subject(found, None).envelope.calibration is None
    (tmp_path / "P01").mkdir()
    (tmp_path / "P01" / EMG_CALIBRATION).touch()
    assert for_subject(found, None).envelope.calibration == tmp_path / "P01" / EMG_CALIBRATION


@pytest.mark.parametrize("name", ["", "../P02", "Anna Muster", "a" * 33, "P02\n", "-x", "P/2"])
def test_names_and_ways_out_of_the_folder_are_refused(tmp_path, name):
    with pytest.raises(BadSettings, match="is no pseudonym"):
        for_subject(station(tmp_path), name)


def test_a_session_of_this_person_shows_the_own_map_and_says_so(tmp_path):
    own = tmp_path / "P02" / "pixel-lip-pucker"
    own.mkdir(parents=True)
    (own / "manifest.json").touch()
    named = parse_station({"camera": {"kind": "synthetic"}, "emg": {"kind": "none"}, "practise": {"people": tmp_path}})
    found = {}
    for subject in ("P02", "P03"):
        graph = therapy_graph(for_subject(named, subject), headless=False)
        assert graph.by_name["pixel_map"].settings["own"] == str(tmp_path / subject)
        settings = build_settings(graph.by_name["page"])
        found[subject] = {movement.name: movement.label for movement in hello(settings, FRIDLUND).movements}
    assert found["P02"]["pixel-lip-pucker"] == "Lip pucker (fitted to you)"
    assert found["P03"]["pixel-lip-pucker"] == "Lip pucker"
    assert found["P02"].keys() == found["P03"].keys()


def test_people_are_kept_beside_the_station_file_unless_it_says_otherwise(tmp_path):
    (tmp_path / "station.yaml").write_text("subject: P01\n")
    assert person_folder(read_station(tmp_path / "station.yaml")) == tmp_path / "people" / "P01"
    (tmp_path / "station.yaml").write_text("subject: P01\npractise: {people: /srv/people}\n")
    assert str(person_folder(read_station(tmp_path / "station.yaml"))) == "/srv/people/P01"
