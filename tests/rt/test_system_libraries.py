import ctypes

import pytest

from rt import system_libraries
from rt.errors import MissingDevice


def test_every_missing_library_is_named_by_its_debian_package(monkeypatch):
    def load(name):
        if "GL" in name:
            raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", load)
    assert system_libraries.missing_packages() == ["libgl1", "libegl1", "libgles2"]
    with pytest.raises(MissingDevice, match="sudo apt-get install libgl1 libegl1 libgles2"):
        system_libraries.require_system_libraries()


def test_nothing_is_missing_where_all_load(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: None)
    system_libraries.require_system_libraries()
