"""Jobs on Ray: on this machine, reachable from nowhere else, or on a cluster whose address somebody gives.

What Ray starts here listens on the loopback address only and asks every caller for a random token; no dashboard, no
usage statistics, nothing left of its folder. A cluster is the user's own: its machines must see the recordings and the
tables' folder under the same paths, and have the same version of MyoMirror. Jobs and results are texts; no picture and
no signal travels through Ray.
"""

from __future__ import annotations

import importlib
import importlib.util
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from calibration.offline.jobs import LOST, Result, run_job
from calibration.offline.workers import Finished
from calibration.worker_process import ONE_THREAD, environment
from rt.errors import BadSettings, MissingDevice

LOCAL = "local"
_STORE_BYTES = 80 << 20  # the least that Ray takes; texts need none of it


def is_installed() -> bool:
    """Whether Ray can be imported."""
    return importlib.util.find_spec("ray") is not None


def run_on_ray(jobs: Sequence[str], address: str, processes: int, finished: Finished) -> None:
    """Run all jobs.  address: LOCAL, or a cluster's (HOST:PORT, or ray://HOST:PORT).  processes: at once, here.

    Raises BadSettings without Ray, MissingDevice when nothing answers at the address.
    """
    with _connected(address, processes) as ray:
        remote = ray.remote(num_cpus=1, max_retries=0)(_run)
        places = {remote.remote(job, version("myomirror")): place for place, job in enumerate(jobs)}
        waiting = list(places)
        while waiting:
            done, waiting = ray.wait(waiting, num_returns=1)
            for task in done:
                finished(places[task], _result(ray, task))


def _run(job: str, wanted: str) -> str:
    """On whichever machine."""
    here = version("myomirror")
    if here != wanted:
        return Result(failed=2, text=f"a machine of the cluster has MyoMirror {here}, not {wanted}").as_text()
    return run_job(job)


def _result(ray: Any, task: Any) -> Result:
    try:
        return Result.of(ray.get(task))
    except ray.exceptions.RayError as error:
        reason = str(error).partition("\n")[0]
        return Result(failed=LOST, text=f"the process that worked on it ended unasked ({reason})")


@contextmanager
def _connected(address: str, processes: int) -> Iterator[Any]:
    folder = tempfile.mkdtemp(prefix="myomirror-ray-") if address == LOCAL else None  # 0700; short, for its sockets
    try:
        with environment(_local_words() if address == LOCAL else {"RAY_USAGE_STATS_ENABLED": "0"}):
            ray = _imported()
            settings: dict[str, Any] = {"log_to_driver": False, "runtime_env": {"env_vars": ONE_THREAD}}
            if address == LOCAL:
                settings |= {"address": "local", "num_cpus": processes, "include_dashboard": False}
                settings |= {"object_store_memory": _STORE_BYTES, "_temp_dir": folder, "_node_ip_address": "127.0.0.1"}
            else:
                settings |= {"address": address}
            try:
                ray.init(**settings)
            except (ConnectionError, RuntimeError, ValueError, OSError, TimeoutError) as error:
                where = "here" if address == LOCAL else f"at {address}"
                reason = str(error).partition("\n")[0]
                raise MissingDevice(
                    f"Ray cannot be started or reached {where} ({reason}): or choose --ray off"
                ) from error
            try:
                yield ray
            finally:
                ray.shutdown()
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _local_words() -> Mapping[str, str]:
    """What Ray reads from the environment, here and in all processes that it starts.

    The third is Ray's own switch (its issue 18730, 2.60) for "this machine only": without it, it listens on every
    interface. It may go when ray.init() takes a loopback address as it is given.
    """
    return {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_worker_niceness": "0",  # as worker processes; by itself Ray takes 15, and starves beside anything else
        **ONE_THREAD,
    }


def _imported() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise BadSettings(
            "Ray is not installed: pip install 'myomirror[ray]', or choose --ray off for worker processes"
        ) from None
