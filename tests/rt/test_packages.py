from importlib import metadata

import pytest

from rt.errors import BadSettings
from rt.packages import refuse_second_owner


def owners(**more):
    return lambda: {"engines": ["myomirror"], "rt": ["myomirror"], "numpy": ["numpy"]} | more


def test_nothing_to_refuse_here():
    refuse_second_owner()


@pytest.mark.parametrize("package", ["rt", "engines", "calibration"])
def test_a_second_owner_is_named_with_what_to_do(monkeypatch, package):
    monkeypatch.setattr(metadata, "packages_distributions", owners(**{package: ["myomirror", "rt-tools"]}))
    with pytest.raises(BadSettings, match=f"'rt-tools' also provides the import package '{package}'.*pip uninstall"):
        refuse_second_owner()
