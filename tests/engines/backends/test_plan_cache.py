import logging
import threading

import pytest

from engines.backends.plan_cache import PlanCache
from engines.errors import EngineError

CONDITIONS = {"onnx": "ab", "tensorrt": "11.4", "card": "one"}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "plans"


def plan_file(folder):
    (path,) = folder.glob("*.plan")
    return path


def test_a_plan_is_found_again_by_another_process(folder):
    PlanCache(folder).keep(CONDITIONS, b"plan")
    assert PlanCache(folder).find(dict(reversed(CONDITIONS.items()))) == b"plan"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("key", CONDITIONS)
def test_whatever_it_depends_on_makes_it_another_plan(folder, key):
    PlanCache(folder).keep(CONDITIONS, b"plan")
    assert PlanCache(folder).find({**CONDITIONS, key: "other"}) is None


@pytest.mark.parametrize("position", [0, 31, 32, -1])
def test_one_altered_bit_anywhere_and_it_is_not_believed(folder, position, caplog):
    PlanCache(folder).keep(CONDITIONS, b"plan" * 100)
    content = bytearray(plan_file(folder).read_bytes())
    content[position] ^= 1
    plan_file(folder).write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert PlanCache(folder).find(CONDITIONS) is None
    assert "is not what this cache wrote" in caplog.text


@pytest.mark.parametrize("length", [0, 31, 32, 40])
def test_a_plan_that_was_cut_short_is_not_believed(folder, length):
    PlanCache(folder).keep(CONDITIONS, b"plan" * 100)
    plan_file(folder).write_bytes(plan_file(folder).read_bytes()[:length])
    assert PlanCache(folder).find(CONDITIONS) is None


def test_a_plan_under_anothers_name_is_not_believed(folder):
    cache = PlanCache(folder)
    cache.keep(CONDITIONS, b"plan")
    good = plan_file(folder)
    cache.keep({"onnx": "other"}, b"other")
    other = next(path for path in folder.glob("*.plan") if path != good)
    good.write_bytes(other.read_bytes())
    assert cache.find(CONDITIONS) is None


def test_a_plan_that_was_made_with_another_key_is_not_believed(folder, tmp_path):
    PlanCache(folder).keep(CONDITIONS, b"plan")
    PlanCache(tmp_path / "elsewhere").keep(CONDITIONS, b"planted")
    plan_file(folder).write_bytes(plan_file(tmp_path / "elsewhere").read_bytes())
    assert PlanCache(folder).find(CONDITIONS) is None


def test_what_others_could_have_written_is_not_believed(folder):
    PlanCache(folder).keep(CONDITIONS, b"plan")
    plan_file(folder).chmod(0o666)
    assert PlanCache(folder).find(CONDITIONS) is None


def test_a_key_that_is_none_is_replaced(folder):
    PlanCache(folder).keep(CONDITIONS, b"plan")
    (folder / "hmac.key").write_bytes(b"short")
    again = PlanCache(folder)
    assert again.find(CONDITIONS) is None
    again.keep(CONDITIONS, b"plan")
    assert PlanCache(folder).find(CONDITIONS) == b"plan"
    assert [path.name for path in folder.iterdir() if path.name.endswith(".part")] == []


def test_several_that_start_at_once_end_up_with_one_key(folder):
    folder.mkdir(mode=0o700)
    caches, start = [], threading.Barrier(4)

    def open_one():
        start.wait()
        caches.append(PlanCache(folder))

    threads = [threading.Thread(target=open_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    caches[0].keep(CONDITIONS, b"plan")
    assert [cache.find(CONDITIONS) for cache in caches] == [b"plan"] * 4


def test_a_plan_can_be_forgotten(folder):
    cache = PlanCache(folder)
    cache.keep(CONDITIONS, b"plan")
    cache.forget(CONDITIONS)
    cache.forget(CONDITIONS)
    assert cache.find(CONDITIONS) is None


def test_a_folder_that_others_can_enter_is_refused(folder):
    folder.mkdir()
    folder.chmod(0o755)
    with pytest.raises(EngineError, match="only you can enter"):
        PlanCache(folder)
