import math

from calibration.restoration import Number
from calibration.restoration_reach import reach


def row(**values):
    return {name: Number(value, None, 9) for name, value in values.items()}


GOOD = {"psnr_covered": 30.0, "psnr_untouched": 50.0, "ssim_face": 0.97, "expression": 0.01}


def report(flicker=1.2, altered=29.0, kind="stills", **changed):
    values = {name: value for name, value in {**GOOD, **changed}.items() if not math.isnan(value)}
    return {
        "data": {"kind": kind},
        "bundles": {
            "mine": {"edit_mask": True},
            "faithful": {"edit_mask": False},
            "fold_0": {"edit_mask": True},
        },
        "flicker": {"mine": {"flicker": flicker}},
        "tables": {
            "people never seen": {
                "attached": row(psnr_covered=12.0, expression=0.03),
                "Telea, true mask": row(psnr_covered=25.0),
                "mine": row(**values),
                "faithful": row(psnr_covered=22.0, psnr_untouched=30.0, ssim_face=0.9, expression=0.02),
            },
            "altered colours": {"mine": row(psnr_covered=altered), "faithful": row(psnr_covered=20.4)},
        },
    }


def verdicts(found, bundle="mine"):
    return {one["what"]: (one["measured"], one["reached"]) for one in found if one["bundle"] == bundle}


def test_everything_reached():
    found = verdicts(reach(report()))
    assert {name: round(value, 3) for name, (value, _) in found.items()} == {
        "covered skin above Telea with the true mask, dB": 5,
        "untouched skin, dB": 50,
        "SSIM in the face": 0.97,
        "expression error left, of that before": 0.333,
        "covered skin above faithful, dB": 8,
        "covered skin lost to altered colours, dB": 1,
        "flicker, clean clip = 1": 1.2,
    }
    assert all(reached for _, reached in found.values())


def test_each_can_be_missed():
    bad = report(flicker=1.6, altered=19.9, psnr_covered=21.5, psnr_untouched=44.0, ssim_face=0.94, expression=0.02)
    assert not any(reached for _, reached in verdicts(reach(bad)).values())


def test_a_face_that_is_not_found_any_more_is_missed_and_has_no_number():
    found = verdicts(reach(report(expression=math.nan)))
    assert found["expression error left, of that before"] == (None, False)


def test_the_faithful_model_is_not_held_against_itself_and_recordings_have_no_aims():
    found = verdicts(reach(report()), "faithful")
    assert not any("above faithful" in what for what in found)
    assert "flicker, clean clip = 1" not in found
    assert reach({"tables": {"recordings": {}}, "bundles": {}, "data": {"kind": "stills"}}) == []


def test_in_films_untouched_skin_is_held_against_the_camera():
    found = verdicts(reach(report(kind="clips", psnr_untouched=41.0, psnr_kept=51.0)))
    assert found["untouched skin, dB"] == (51.0, True)
    assert verdicts(reach(report(psnr_untouched=41.0, psnr_kept=51.0)))["untouched skin, dB"] == (41.0, False)
