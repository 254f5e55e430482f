"""One recording as a job for another process: text in, text out, whatever goes wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from calibration.offline.order import read_job
from engines.errors import EngineError
from rt.errors import LiveError

LOST = 4


@dataclass(frozen=True)
class Result:
    """What became of a recording.  failed: the exit code that it asks for, 0 when it went well; text: then why."""

    pictures: int = 0
    seconds: float = 0.0
    synthetic: bool = False
    notes: tuple[str, ...] = ()
    found: bool = False
    failed: int = 0
    text: str = ""

    def as_text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Result:
        """From `as_text`."""
        said: Mapping[str, object] = json.loads(text)
        return cls(**{**said, "notes": tuple(said["notes"])})  # type: ignore[arg-type]


def run_job(text: str, progress: Callable[[int, int], None] = lambda done, all_of_them: None) -> str:
    """Process the recording of a job text; returns a Result's text and raises nothing that a recording can cause."""
    import cv2

    from calibration.offline.processing import process

    os.umask(0o077)
    cv2.setNumThreads(1)
    recording, order = read_job(text)
    try:
        done = process(recording, order, progress)
    except LiveError as error:
        return Result(failed=error.exit_code, text=str(error)).as_text()
    except EngineError as error:
        return Result(failed=2, text=str(error)).as_text()
    except Exception as error:  # noqa: BLE001 - one recording's bug is no reason to give up the others
        return Result(failed=LOST, text=f"{type(error).__name__} while it was processed: {error}").as_text()
    return Result(done.pictures, done.seconds, done.synthetic, done.notes, done.found).as_text()
