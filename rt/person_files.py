"""What belongs to one person and outlives a session: own movement maps and EMG calibration, one folder per pseudonym.

    PEOPLE/ID/pixel-smile-open/      a movement's map, refined on this person (myomirror calibrate)
    PEOPLE/ID/emg-calibration.json   rest and reference of the muscles, where the station file names no other

PEOPLE is the station's `practise.people`.  Folders are 0700, files 0600; a map holds no picture.
"""

import re
from pathlib import Path

from rt.errors import BadSettings
from rt.station import SUBJECT_PATTERN, Station

EMG_CALIBRATION = "emg-calibration.json"


def person_folder(station: Station) -> Path:
    """Where this person's own files are; it may not exist yet."""
    return station.practise.people.expanduser() / station.subject


def for_subject(station: Station, subject: str | None) -> Station:
    """The same station for this person; None: for whom it names.

    A calibration file that the station names belongs to the subject that it names: somebody else gets the one of the
    own folder, and so does everybody where the station names none and the folder has one.
    Raises BadSettings for what is no pseudonym.
    """
    if subject is not None and not re.fullmatch(SUBJECT_PATTERN, subject):
        raise BadSettings(
            f"the subject {subject!r} is no pseudonym: give up to 32 letters, digits, - and _, beginning with a letter "
            "or digit"
        )
    other = subject is not None and subject != station.subject
    found = station.model_copy(update={"subject": subject}) if other else station
    own = person_folder(found) / EMG_CALIBRATION
    if other or (found.envelope.calibration is None and own.is_file()):
        found = found.model_copy(update={"envelope": found.envelope.model_copy(update={"calibration": own})})
    return found
