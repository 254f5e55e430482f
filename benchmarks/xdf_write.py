"""How long a 31 ms EMG chunk takes to be on file: `python -m benchmarks.xdf_write`.

22 channels x 128 samples at 4096 Hz, float32, through `XdfWriter.write` into a file on disk, syncing thread running.
Beside it in the same run: the same bytes through one `os.write`, which no writer can beat.
"""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from rt.recording.xdf_format import StreamSpec
from rt.recording.xdf_writer import XdfWriter

N_CHANNELS, N_SAMPLES, RATE_HZ = 22, 128, 4096.0
TARGET_US = 50.0


def measure(n_chunks: int = 6000, pause_s: float = 0.001) -> list[dict[str, Any]]:
    """Time single writes (us): median, p99; a short pause after each lets the syncing thread run as it does live."""
    rng = np.random.default_rng(0)
    block = rng.normal(0, 50, (N_SAMPLES, N_CHANNELS)).astype(np.float32)
    stamps = np.arange(N_SAMPLES) / RATE_HZ
    raw = bytes(16 + N_SAMPLES * (9 + 4 * N_CHANNELS))
    with tempfile.TemporaryDirectory(dir=Path.home()) as folder:
        plain = os.open(Path(folder) / "plain.bin", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        xdf = XdfWriter(Path(folder) / "signals.xdf")
        xdf.add_stream(StreamSpec("emg", "EMG", tuple(f"F{i + 1}" for i in range(N_CHANNELS)), rate_hz=RATE_HZ))
        ours, floor = np.empty(n_chunks), np.empty(n_chunks)
        for index in range(n_chunks):  # interleaved: both see the same disk and the same neighbours
            t0 = time.perf_counter_ns()
            xdf.write("emg", stamps, block)
            t1 = time.perf_counter_ns()
            os.write(plain, raw)
            t2 = time.perf_counter_ns()
            ours[index], floor[index] = (t1 - t0) / 1e3, (t2 - t1) / 1e3
            time.sleep(pause_s)
        os.close(plain)
        xdf.close()
    warm = slice(n_chunks // 10, None)
    return [
        {
            "what": f"XDF write, {N_CHANNELS} ch x {N_SAMPLES} samples",
            "ours_us": round(float(np.median(ours[warm])), 1),
            "ours_p99_us": round(float(np.percentile(ours[warm], 99)), 1),
            "plain_write_us": round(float(np.median(floor[warm])), 1),
            "plain_write_p99_us": round(float(np.percentile(floor[warm], 99)), 1),
            "target_us": TARGET_US,
            "chunks": n_chunks,
        }
    ]


def main() -> None:
    for row in measure():
        print(
            f"{row['what']}: {row['ours_us']} us (p99 {row['ours_p99_us']}), one os.write of the same bytes "
            f"{row['plain_write_us']} us (p99 {row['plain_write_p99_us']}), target {row['target_us']:.0f} us"
        )


if __name__ == "__main__":
    main()
