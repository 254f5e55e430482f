"""Whose files a session uses."""

import pytest

from rt.errors import BadSettings
from rt.person_files import EMG_CALIBRATION, for_subject, person_folder
from rt.station import parse_station


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
