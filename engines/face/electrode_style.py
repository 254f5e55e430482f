"""What electrodes look like in one session: drawn from a seed, widely, so that no network learns one look by heart.

The ranges are choices around what the real recordings show (FACTS 1.1: white, roughly square tapes of about 5 % of the
face's width over small dark discs, thin brown or coloured cables, a cap's edge); none is measured.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from engines.errors import BadInput

Colour = tuple[float, float, float]

# BGR under neutral light
BROWNS: tuple[Colour, ...] = ((42, 70, 110), (60, 92, 135), (35, 52, 82), (85, 120, 165))
MANY: tuple[Colour, ...] = (
    (60, 60, 200), (190, 120, 50), (70, 150, 60), (60, 200, 220), (150, 70, 150), (40, 40, 45), (215, 215, 215),
    (60, 120, 225), (45, 70, 110),
)  # fmt: skip
GREYS: tuple[Colour, ...] = ((150, 150, 152), (110, 112, 115), (185, 186, 188), (60, 60, 62))
CAPS: tuple[Colour, ...] = ((150, 90, 50), (60, 60, 165), (215, 215, 212), (70, 70, 72), (120, 150, 90), (190, 170, 60))


@dataclass(frozen=True)
class ElectrodeStyle:
    """One session's electrodes. Lengths in cm on the skin. Raises BadInput when a number lies outside its range.

    tape_cm: side.  error_cm: standard deviation of where an electrode comes to lie, along each of two directions.
    missing: share that has fallen off.  apart_cm: between the two electrodes of a bipolar channel.
    """

    tape_cm: float = 0.78
    round_cm: float = 0.12
    disc_cm: float = 0.19  # radius
    disc_dark: float = 0.85  # how far the disc shows through or beside the tape
    opacity: float = 0.97
    error_cm: float = 0.2
    missing: float = 0.0
    apart_cm: float = 1.05
    cable_cm: float = 0.14  # thickness
    cable_colours: tuple[Colour, ...] = BROWNS
    braid: float = 0.15
    shine: float = 0.25
    tape_white: Colour = (236, 240, 242)
    disc_colour: Colour = (52, 50, 48)
    twisted: float = 0.5  # how tightly bundles are wound, 0..1
    upwards: float = 0.5  # share of the forehead's cables that go up instead of sideways
    down_the_chin: float = 0.5  # share of the mouth's cables that meet below the chin
    cap: Colour | None = CAPS[3]
    cap_cm: float = 2.6

    def __post_init__(self) -> None:
        """Check the ranges."""
        ranges = {
            "tape_cm": (0.3, 2.0), "round_cm": (0.0, 0.5), "disc_cm": (0.05, 0.6), "disc_dark": (0.0, 1.0),
            "opacity": (0.5, 1.0), "error_cm": (0.0, 2.0), "missing": (0.0, 0.9), "apart_cm": (0.2, 3.0),
            "cable_cm": (0.03, 0.6), "braid": (0.0, 1.0), "shine": (0.0, 1.0), "twisted": (0.0, 1.0),
            "upwards": (0.0, 1.0), "down_the_chin": (0.0, 1.0), "cap_cm": (0.5, 6.0),
        }  # fmt: skip
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise BadInput(f"electrodes need {name} in {low:g}..{high:g}, found {value}")
        if not self.cable_colours:
            raise BadInput("electrodes need at least one cable colour")

    @classmethod
    def random(cls, rng: np.random.Generator) -> ElectrodeStyle:
        """A style nobody has seen."""
        palette = (BROWNS, BROWNS, MANY, GREYS, MANY + BROWNS)[int(rng.integers(5))]
        warm = rng.uniform(-8, 8)
        white = rng.uniform(205, 246)
        dark = rng.uniform(25, 95)
        cap = CAPS[int(rng.integers(len(CAPS)))] if rng.random() < 0.6 else None
        return cls(
            tape_cm=float(rng.uniform(0.62, 1.0)),
            round_cm=float(rng.uniform(0.03, 0.22)),
            disc_cm=float(rng.uniform(0.13, 0.24)),
            disc_dark=float(rng.choice([rng.uniform(0.08, 0.4), rng.uniform(0.6, 1.0)], p=[0.35, 0.65])),
            opacity=float(rng.uniform(0.9, 1.0)),
            error_cm=float(rng.uniform(0.1, 0.3)),
            missing=float(rng.choice([0.0, rng.uniform(0, 0.1)])),
            apart_cm=float(rng.uniform(0.85, 1.25)),
            cable_cm=float(rng.uniform(0.08, 0.2)),
            cable_colours=palette,
            braid=float(rng.choice([0.0, rng.uniform(0.1, 0.4)])),
            shine=float(rng.uniform(0.05, 0.45)),
            tape_white=(white - warm, white, white + warm),
            disc_colour=(dark, dark, dark + float(rng.uniform(-4, 10))),
            twisted=float(rng.uniform(0, 1)),
            upwards=float(rng.uniform(0, 1)),
            down_the_chin=float(rng.uniform(0, 1)),
            cap=cap,
            cap_cm=float(rng.uniform(1.6, 4.0)),
        )

    def as_json(self) -> dict[str, object]:
        """For a cohort's truth."""
        return {f.name: getattr(self, f.name) for f in fields(self)}
