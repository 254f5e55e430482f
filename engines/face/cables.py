"""The way of every cable: from its electrode over the skin into a bundle, and with the bundle out of the picture.

Ways are given by a few points in the frontal plane of MediaPipe's canonical face (cm, x to the person's left, y up) and
follow the face there as `CanonicalFace.beside` says. All numbers are choices, made by looking at the result.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engines.face.electrode_style import ElectrodeStyle

Doubles = npt.NDArray[np.float64]

POINTS = 7  # control points of a way, the electrode included
SAMPLES = 34  # points of the curve through them
FREE = slice(3, POINTS)  # control points that hang free and sway
_FOREHEAD_CM, _MOUTH_CM = 4.6, -4.4  # sites above, and below, have bundles of their own
_SPINES = {  # for the person's left; the right is the mirror image
    "up": ((2.6, 9.4), (3.2, 11.4), (4.0, 14.5), (5.0, 40.0)),
    "temple": ((6.5, 6.0), (7.7, 4.6), (8.9, -1.0), (10.5, -40.0)),
    "cheek": ((6.8, -1.4), (7.9, -3.0), (9.0, -8.0), (10.5, -40.0)),
    "jaw": ((5.0, -8.4), (6.0, -10.6), (6.8, -14.5), (8.0, -40.0)),
    "chin": ((1.3, -9.8), (1.6, -12.0), (2.3, -16.0), (3.6, -40.0)),
}


def way(site_cm: Doubles, style: ElectrodeStyle, spines: dict[str, Doubles], rng: np.random.Generator) -> Doubles:
    """(POINTS - 1, 2): the control points after the electrode itself, cm in the frontal plane.

    site_cm: (2,) of the electrode.  spines: this session's, of `spines_of`.
    """
    side = float(np.sign(site_cm[0])) or float(rng.choice([-1.0, 1.0]))
    spine = spines[_bundle(site_cm, style, rng)] * [side, 1.0]
    lean = spine[0] - site_cm
    leave = site_cm + lean * rng.uniform(0.25, 0.4) + rng.normal(0, 0.25, 2)
    phase, turns = rng.uniform(0, 2 * np.pi), 0.6 + 1.8 * style.twisted
    width = (0.6 - 0.4 * style.twisted) * rng.uniform(0.3, 1.0)
    along = np.array([0.0, 0.25, 0.6, 1.6])  # the last piece is long
    run = np.gradient(spine, axis=0)
    across = np.stack([-run[:, 1], run[:, 0]], 1) / np.linalg.norm(run, axis=1)[:, None]
    wound = spine + across * (width * np.sin(phase + 2 * np.pi * turns * along))[:, None]
    meet = (leave + wound[0]) / 2 + rng.normal(0, 0.2, 2)
    return np.vstack([leave, meet, wound])


def spines_of(rng: np.random.Generator) -> dict[str, Doubles]:
    """This session's bundles: (4, 2) each, for the person's left."""
    return {name: np.array(points) + rng.normal(0, [0.35, 0.5], (4, 2)) for name, points in _SPINES.items()}


def curve() -> Doubles:
    """(SAMPLES, POINTS): a Catmull-Rom curve's points from its control points, the ends doubled."""
    t = np.linspace(0, POINTS - 1 - 1e-9, SAMPLES)
    found = np.zeros((SAMPLES, POINTS))
    for row, (i, u) in enumerate(zip(t.astype(int), t % 1, strict=True)):
        shares = (-u + 2 * u**2 - u**3, 2 - 5 * u**2 + 3 * u**3, u + 4 * u**2 - 3 * u**3, -(u**2) + u**3)
        for k, share in zip(range(i - 1, i + 3), shares, strict=True):
            found[row, min(max(k, 0), POINTS - 1)] += share / 2
    return found


def _bundle(site_cm: Doubles, style: ElectrodeStyle, rng: np.random.Generator) -> str:
    if site_cm[1] > _FOREHEAD_CM:
        return "up" if rng.random() < style.upwards else "temple"
    if site_cm[1] > _MOUTH_CM:
        return "cheek"
    inner = abs(site_cm[0]) < 3.2
    return "chin" if inner and rng.random() < style.down_the_chin else "jaw"
