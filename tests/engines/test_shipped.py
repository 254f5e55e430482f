from pathlib import Path

from engines import shipped
from engines.shipped import bundle_folder, shipped_bundles


def test_every_shipped_bundle_has_a_manifest():
    assert "pixel-smile" in [path.name for path in shipped_bundles()]
    assert all((path / "manifest.json").is_file() for path in shipped_bundles())


def test_a_bare_name_means_the_shipped_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert bundle_folder("pixel-smile") == Path(shipped.__file__).parent / "bundles" / "pixel-smile"


def test_a_path_means_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pixel-smile").mkdir()
    assert bundle_folder("pixel-smile") == Path("pixel-smile")
    assert bundle_folder(tmp_path / "pixel-smile") == tmp_path / "pixel-smile"
    assert bundle_folder("./nowhere/pixel-smile") == Path("nowhere/pixel-smile")
    assert bundle_folder("nothing") == Path("nothing")
