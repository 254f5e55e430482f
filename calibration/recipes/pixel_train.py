"""Pixel-RR as a recipe of `myomirror train pixel_rr --data LONDON_FACES --out BUNDLE`: one fit, no epochs."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console

from calibration.loop import Outcome
from calibration.recipes.pixel_rr import PixelRRSettings, make_bundle, read_pairs
from calibration.train_order import Kind, Order
from engines.errors import BadInput
from rt.assets import FACE_LANDMARKER, find
from rt.errors import BadSettings


def learn(order: Order, settings: Any, console: Console) -> Outcome:
    """Fit the smile and write its bundle.

    order: its data is the folder of the London faces.  settings: PixelRRSettings.  Raises BadInput when the folder or
    MediaPipe's model is missing, BadSettings for what a fit in closed form does not have.
    """
    assert isinstance(settings, PixelRRSettings)
    if order.start_from is not None or order.run.resume or order.people or order.fraction != 1.0:
        raise BadSettings(
            "pixel_rr is one fit of all people: leave out --start-from, --resume, --people and --fraction"
        )
    model = find(FACE_LANDMARKER)
    if model is None:
        raise BadInput("MediaPipe's model is missing: run myomirror assets fetch")
    begin = time.perf_counter()
    manifest = make_bundle(*read_pairs(order.data, model, settings), settings, order.out)
    for name, metric in manifest.metrics.items():
        console.print(f"{name:32} {metric.value:8.3f} {metric.unit}  {metric.on}", highlight=False, soft_wrap=True)
    return Outcome("finished", 1, time.perf_counter() - begin)


KIND = Kind(settings=PixelRRSettings(), learn=learn)
