"""Native greetings go to the log as debug, complaints as warnings, and nothing is lost when the block fails."""

import logging
import os

import pytest

from rt.stages.native_chatter import chatter_to_log

LOG = logging.getLogger("myomirror.test")


def levels(caplog):
    return [(record.levelno, record.message) for record in caplog.records]


def test_greetings_are_debug_and_complaints_warnings(caplog, capfd):
    caplog.set_level(logging.DEBUG, logger=LOG.name)  # whatever a session has set for its parent
    with chatter_to_log(LOG):
        os.write(2, b"W0000 00:00:1 graph.cc:174] Sets acceleration\nINFO: Created delegate\nE0000 x.cc:1] broken\n")
    assert [level for level, _ in levels(caplog)] == [logging.DEBUG, logging.DEBUG, logging.WARNING]
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_everything_is_shown_when_the_block_fails(caplog):
    def fail():
        with chatter_to_log(LOG):
            os.write(2, b"INFO: the reason\n")
            raise OSError

    with pytest.raises(OSError):
        fail()
    assert levels(caplog) == [(logging.WARNING, "INFO: the reason")]
