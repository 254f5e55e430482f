import io

import pytest
from rich.console import Console

from calibration.restoration import Number
from calibration.restoration_tables import over_folds, show


def row(**values):
    return {name: Number(value, 0.1, 7) for name, value in values.items()}


def printed(report):
    console = Console(file=io.StringIO(), width=150)
    show(console, {"notes": [], "reach": [], "bundles": {}, **report})
    return console.file.getvalue()


DATA = {"folder": "faces", "kind": "stills", "synthetic": True, "cut": "middle, 128 px"}


def test_every_part_is_there():
    inside, outside = row(ssim_face=0.95, psnr_covered=29.0), row(ssim_face=0.9, psnr_covered=27.0, frechet=12.0)
    text = printed(
        {
            "data": DATA,
            "peers": {"telea": {"dilation_px": 1, "radius_px": 4.1, "chosen_on": "24 validation pictures"}},
            "tables": {
                "people never seen": {"without": row(face_found=1), "attached": row(ssim_face=0.5), "mine": outside},
                "people seen in training": {"without": {}, "attached": row(ssim_face=0.5), "mine": inside},
            },
            "six_fold": {"False": row(ssim_face=0.88), "True": row(ssim_face=0.93)},
            "flicker": {"mine": {"flicker": 1.234, "of_error": None}},
            "emotions": {},
            "reach": [
                {"bundle": "mine", "what": "SSIM", "measured": 0.9, "target": ">= 0.95", "reached": False},
                {"bundle": "mine", "what": "expression", "measured": None, "target": "<= 0.5", "reached": False},
            ],
            "notes": ["no emotions were classified"],
        }
    )
    for words in (
        *("synthetic people, nobody was recorded", "telea: mask grown by 1 px, radius 4.1 px"),
        *("People never seen: 7 pictures", "0.900 ± 0.100", "12.0 ± 0.1"),
        *("People never seen: kinds of skin", "27.0 ± 0.1"),
        *("Trained on the person?", "mine: False", "mine: True", "29.0 ± 0.1"),
        *("Six folds", "Flicker", "1.23", "What is to be reached", "MISSED", "Note: no emotions were classified."),
    ):
        assert words in text, words
    assert "reached " not in text.split("What is to be reached")[1].split("Mean over")[0]


def test_what_was_not_measured_has_no_column():
    text = printed({"data": DATA, "tables": {"people never seen": {"attached": row(gmsd=0.2), "mine": row(gmsd=0.1)}}})
    assert "GMSD" in text
    assert not any(word in text for word in ("SSIM dB", "covered", "faces found", "Six folds", "reached"))


def test_emotions_are_shown_as_shares():
    answers = {name: {"happy": Number(0.5, None, 4), "overall": Number(0.5, None, 4)} for name in ("without", "mine")}
    data = {**DATA, "kind": "clips", "synthetic": False}
    text = printed({"data": data, "tables": {"recordings": {"mine": row(frechet=3)}}, "emotions": answers})
    assert "recordings of people" in text
    assert "50.0 %" in text


def test_folds_are_averaged_by_fold():
    found = over_folds([{"a": Number(1, None, 10), "b": Number(5, 1, 1)}, {"a": Number(3, None, 2)}])
    assert set(found) == {"a"}
    assert found["a"].mean == 2
    assert found["a"].sd == pytest.approx(2**0.5)
    assert found["a"].pictures == 12
    assert over_folds([{"a": Number(1, None, 10)}])["a"].sd is None
