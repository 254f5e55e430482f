"""How a bundle's results stand to what electrode removal is to reach."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from calibration.restoration import ATTACHED, Row

TELEA = "Telea, true mask"


def reach(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One entry per bundle and aim that the report has numbers for.

    bundle, what, measured (None where nothing could be measured, as no face was found), target, reached.
    """
    tables: Mapping[str, Mapping[str, Row]] = report["tables"]
    plain, altered = tables.get("people never seen"), tables.get("altered colours")
    if plain is None:
        return []
    found = []
    for name, about in report["bundles"].items():
        if name not in plain:
            continue
        row = plain[name]
        found += list(_pictures(name, row, plain, report["data"]["kind"] == "clips"))
        for other, its in report["bundles"].items():
            # A bundle without an edit mask is the paper's model: what edits has to be better
            if about["edit_mask"] and not its["edit_mask"] and other in plain:
                more = _mean(row, "psnr_covered") - _mean(plain[other], "psnr_covered")
                found.append(_aim(name, f"covered skin above {other}, dB", more, "> 0", more > 0))
        if altered is not None:
            less = _mean(row, "psnr_covered") - _mean(altered[name], "psnr_covered")
            found.append(_aim(name, "covered skin lost to altered colours, dB", less, "<= 1.5", less <= 1.5))
        flicker = report.get("flicker", {}).get(name, {}).get("flicker")
        if flicker is not None:
            found.append(_aim(name, "flicker, clean clip = 1", flicker, "<= 1.5", flicker <= 1.5))
    return found


def _pictures(name: str, row: Row, plain: Mapping[str, Row], films: bool) -> Iterator[dict[str, Any]]:
    above = _mean(row, "psnr_covered") - _mean(plain[TELEA], "psnr_covered")
    yield _aim(name, "covered skin above Telea with the true mask, dB", above, ">= 4", above >= 4)
    # Against the camera's own pixels where picture and truth are two films: their compression alone costs 41 dB
    against = "psnr_kept" if films else "psnr_untouched"
    untouched, similar = _mean(row, against), _mean(row, "ssim_face")
    yield _aim(name, "untouched skin, dB", untouched, ">= 45", untouched >= 45)
    yield _aim(name, "SSIM in the face", similar, ">= 0.95", similar >= 0.95)
    if "expression" in plain[ATTACHED]:
        left = _mean(row, "expression") / _mean(plain[ATTACHED], "expression")  # nan: no face was found any more
        yield _aim(name, "expression error left, of that before", left, "<= 0.5", left <= 0.5)


def _aim(bundle: str, what: str, measured: float, target: str, reached: bool) -> dict[str, Any]:
    known = None if math.isnan(measured) else measured
    return {"bundle": bundle, "what": what, "measured": known, "target": target, "reached": bool(reached)}


def _mean(row: Row, name: str) -> float:
    return row[name].mean if name in row else math.nan
