"""Every error that the real-time room raises, with the exit code that the command line gives it.

LiveError                   catch this to catch all of them
+-- BadSettings      (2)    a station file, option or recording that does not fit; one sentence says what to do
|   +-- BadGraph     (2)    nodes and edges that cannot work; found before anything starts
|   +-- BadRecording (2)    a folder or file that is not (or no longer) a readable recording
+-- MissingDevice    (3)    a required device or stream is not there; the sentence lists what was found
+-- DataLost         (4)    samples or frames that should have been kept are gone
|   +-- TornRead            a ring slot was overwritten while it was read (counted, never shown)
+-- BadMessage              bytes on a link that are not a message of ours (dropped and counted)
"""


class LiveError(Exception):
    """Base of everything the real-time room raises."""

    exit_code = 1


class BadSettings(LiveError):
    """Settings that do not fit."""

    exit_code = 2


class BadGraph(BadSettings):
    """Nodes and edges that cannot work."""


class BadRecording(BadSettings):
    """A folder or file that is not (or no longer) a readable recording."""


class MissingDevice(LiveError):
    """A required device or stream is not there."""

    exit_code = 3


class DataLost(LiveError):
    """Samples or frames that should have been kept are gone."""

    exit_code = 4


class TornRead(DataLost):
    """A ring slot was overwritten while it was read."""


class BadMessage(LiveError):
    """Bytes on a link that are not a message of ours."""
