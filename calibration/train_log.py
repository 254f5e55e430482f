"""What a training leaves to look at: TensorBoard's files, beside the checkpoint.  `tensorboard --logdir FOLDER`.

Without the library a training runs all the same: the log is for people, the bundle does not need it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calibration.recipe import Picture

FOLDER = "log"  # beside the checkpoint
ABSENT = "no TensorBoard log is written, the library is not installed: pip install 'myomirror[train]'"


class TrainLog:
    """Numbers and pictures by step; does nothing where TensorBoard is not installed."""

    def __init__(self, folder: Path, steps: int) -> None:
        """folder: made 0700.  steps: that were taken already; what an interrupted run wrote after them is hidden."""
        self.why_not: str | None = None
        self._writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self.why_not = ABSENT
            return
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._writer = SummaryWriter(str(folder), purge_step=steps + 1 if steps else None)

    def numbers(self, values: Mapping[str, float], steps: int) -> None:
        """Write scalars.  values: by name, for example "loss/cycle"."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, steps)

    def pictures(self, pictures: Mapping[str, Picture], steps: int) -> None:
        """Write pictures, (height, width, 3) uint8 RGB."""
        if self._writer is not None:
            for name, picture in pictures.items():
                self._writer.add_image(name, picture, steps, dataformats="HWC")

    def close(self) -> None:
        """Flush; files become readable by their owner only."""
        if self._writer is not None:
            self._writer.close()
            for path in Path(self._writer.log_dir).iterdir():
                os.chmod(path, 0o600)
