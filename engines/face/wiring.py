"""The way of every cable over the head: from its electrode over the skin into a bundle, behind the head or down.

Ways are planned once per session on the neutral head, in cm (x to the person's left, y up, z out of the face), and
follow it from then on (engines/face/follow.py).  All numbers are choices, made by looking at the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engines.face.arrays import Floats, Indices, frozen
from engines.face.electrode_style import ElectrodeStyle
from engines.face.follow import Followers, smooth
from engines.face.skin_surface import Doubles, Places, SkinSurface

STEP_CM = 0.32  # between a cable's points
_CLEAR_CM = 9.0  # height of what hangs free: no skin is near
_FADES_CM = 5.0  # over which a hanging bundle lets go of the head

# A bundle: points that it passes on the skin, then points that it hangs through.  For the person's left.
_BUNDLES: dict[str, tuple[tuple[tuple[float, float, float], ...], tuple[tuple[float, float, float], ...]]] = {
    "crown": (((2.6, 8.2, 10), (3.0, 9.6, 9.4), (3.5, 11.2, 8), (4.0, 12.8, 5.4), (4.3, 13.8, 2.4)), ()),
    "temple": (((3.6, 8.0, 9.5), (5.4, 7.6, 7.5), (6.9, 7.0, 4), (7.8, 6.7, 1.4), (8.0, 6.4, -0.6)), ()),
    "ear": (((4.6, 0.6, 9), (5.8, 1.6, 7), (6.7, 3.6, 4.6), (7.4, 5.6, 2.2), (7.9, 6.2, -0.4)), ()),
    "lobe": (
        ((4.8, -1.4, 8.6), (5.9, -1.6, 6.2), (6.5, -2.6, 4.4), (6.5, -4.2, 3.4)),
        ((7.2, -7.4, 3.6), (8.0, -11.5, 4.2), (9.2, -18.0, 5.0), (10.4, -32.0, 6.0)),
    ),
    "cheek": (
        ((5.0, -0.6, 8.4), (6.0, -1.8, 6.4), (6.3, -3.6, 5.2), (6.2, -5.0, 4.6)),
        ((6.8, -8.0, 5.2), (7.4, -12.0, 5.4), (8.4, -18.0, 6.0), (9.4, -32.0, 7.0)),
    ),
    "jaw": (
        ((2.8, -6.4, 9.8), (4.2, -6.2, 8.4), (5.4, -5.6, 6.2), (6.0, -5.4, 4.6)),
        ((6.6, -7.6, 4.6), (7.4, -11.5, 5.0), (8.6, -18.0, 5.6), (9.6, -32.0, 6.4)),
    ),
    "chin": (
        ((1.7, -6.2, 10.6), (1.6, -7.2, 10.2), (1.5, -7.9, 9.0)),
        ((1.6, -9.6, 8.6), (1.8, -13.0, 8.2), (2.4, -19.0, 8.4), (3.4, -32.0, 8.6)),
    ),
    "below": (
        ((3.0, -6.4, 9.6), (3.5, -7.0, 8.6), (3.8, -7.4, 7.6)),
        ((4.4, -9.6, 7.2), (5.0, -13.5, 7.0), (5.8, -19.0, 7.4), (6.8, -32.0, 7.8)),
    ),
}
_HAIR_CM = 0.5  # by which cables lie above the scalp
_AWAY = ("crown", "temple", "ear")  # bundles that go behind the head
_WANDER_CM = 0.45  # by which a session's bundles differ


@dataclass(frozen=True)
class Wiring:
    """All cables of one session as chains of points.

    followers: where the points are.  chain: (n,) int32, the cable of each.  height_cm: (n,) float32 above the skin.
    order: (m,) int32, segments by their first point, the lowest first.  loose: (n,) float32, 0..1, how freely a point
    swings.  slips: (n,) float32, subtracted from how the skin faces: cables that go behind the head slip under hair.
    leave: (cable, 3), the direction in which each leaves its electrode.  straps: (k, 2, 3), cm, where a strip of tape
    could hold a bundle to the skin, and the unit direction across the bundle there.
    """

    followers: Followers
    chain: Indices
    height_cm: Floats
    order: Indices
    loose: Floats
    slips: Floats
    leave: Doubles
    straps: Doubles


@dataclass
class _Bundle:
    """One bundle of a session.  line: (n, 3) cm at STEP_CM; skin: how many of its points lie on the skin."""

    line: Doubles
    normal: Doubles
    skin: int
    turn: float  # radians per cm by which it is wound
    spread: float  # cm, half its width


def plan(
    surface: SkinSurface, sites: Places, pairs: Indices, style: ElectrodeStyle, rng: np.random.Generator
) -> Wiring:
    """Lead a cable from every electrode.

    sites: where the electrodes are.  pairs: (cable,) int32: the two leads of a bipolar pair have one number and run
    together.  Deterministic from rng's state.
    """
    routes = _routes(style, rng)
    bundles: dict[tuple[str, float], _Bundle] = {}
    chains, normals, heights, hangs, slips, leaves = [], [], [], [], [], []
    slots: dict[int, Doubles] = {}
    taken: dict[int, tuple[str, float]] = {}
    for number, (point, normal) in enumerate(zip(sites.points, sites.normals, strict=True)):
        pair = int(pairs[number])
        key = taken.setdefault(pair, _route(point, routes, style, rng))
        if key not in bundles:
            bundles[key] = _bundle(surface, *key, style, rng)
        if pair not in slots:
            slots[pair] = np.array(
                [rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform(0.05, 1)), rng.uniform(0, 2 * np.pi)]
            )
        else:
            slots[pair] = slots[pair] + [0, 0, np.pi]  # the other lead winds around the first
        line, out, hang, height = _lead(surface, point, normal, bundles[key], slots[pair], style, rng)
        chains.append(line)
        normals.append(out)
        heights.append(height)
        hangs.append(hang)
        slips.append(_slip(len(line), rng) if key[0] in _AWAY else _stay(hang))
        leaves.append((line[1] - line[0]) / max(float(np.linalg.norm(line[1] - line[0])), 1e-9))
    points, hang, height = np.concatenate(chains), np.concatenate(hangs), np.concatenate(heights)
    chain = np.repeat(np.arange(len(chains)), [len(line) for line in chains]).astype(np.int32)
    anchors = surface.nearest(points, np.concatenate(normals))
    segments = np.flatnonzero(chain[:-1] == chain[1:])
    level = np.where(hang[segments] > 0, points[segments, 2], height[segments])
    free = hang[segments] > 0.5  # what hangs lies before everything else
    order = segments[np.lexsort((level, free))]
    return Wiring(
        Followers.of(anchors, points, hang),
        frozen(chain),
        frozen(height.astype(np.float32)),
        frozen(order.astype(np.int32)),
        frozen(np.clip(hang * 1.2, 0, 1).astype(np.float32)),
        frozen(np.concatenate(slips).astype(np.float32)),
        np.array(leaves),
        _straps(list(bundles.values()), rng),
    )


def _slip(count: int, rng: np.random.Generator) -> Doubles:
    """(count,): a cable that goes behind the head gets out of sight under hair, each somewhere else."""
    left_cm = (np.arange(count)[::-1] - rng.uniform(0, 2.0) / STEP_CM) * STEP_CM
    return np.asarray(np.clip(1.6 - left_cm, 0, 2))


def _stay(hang: Doubles) -> Doubles:
    """(count,): a cable that will hang before the shoulders stays in view where the jaw turns away under it."""
    leaves = int(np.argmax(hang > 0))
    return np.asarray(-0.5 * np.clip(1 - (leaves - np.arange(len(hang))) * STEP_CM / 3.0, 0, 1))


def _routes(style: ElectrodeStyle, rng: np.random.Generator) -> dict[tuple[str, float], tuple[str, ...]]:
    """Which bundles each region of each side may take in this session."""
    found: dict[tuple[str, float], tuple[str, ...]] = {}
    middle = rng.choice(3, p=[0.45, 0.25, 0.3])
    for side in (1.0, -1.0):
        own = middle if rng.random() < 0.8 else rng.choice(3)
        found["forehead", side] = ("crown", "temple")
        found["middle", side] = (("ear",), ("lobe",), ("cheek",))[own]
        found["side", side] = (("ear",), ("lobe",), ("cheek", "lobe"))[own]
        away = "jaw" if rng.random() < 0.4 else "below"
        found["mouth", side] = ("chin", away)
    return found


def _route(
    point: Doubles, routes: dict[tuple[str, float], tuple[str, ...]], style: ElectrodeStyle, rng: np.random.Generator
) -> tuple[str, float]:
    """(bundle, side) for an electrode."""
    side = 1.0 if point[0] > 0.25 or (abs(point[0]) <= 0.25 and rng.random() < 0.5) else -1.0
    beside = abs(point[0])
    if point[1] > 5.2 or (point[1] > 2.6 and beside < 2.2):
        names = routes["forehead", side]
        return (names[0] if rng.random() < style.upwards else names[1]), side
    if point[1] > 3.4:
        return ("temple" if rng.random() < 0.5 else routes["middle", side][0]), side
    if point[1] > -3.2:
        return routes["middle", side][0], side
    if beside > 4.6:
        names = routes["side", side]
        return names[int(rng.integers(len(names)))], side
    names = routes["mouth", side]
    return (names[0] if rng.random() < style.down_the_chin else names[1]), side


def _bundle(surface: SkinSurface, name: str, side: float, style: ElectrodeStyle, rng: np.random.Generator) -> _Bundle:
    skin, free = (np.array(part, np.float64).reshape(-1, 3) for part in _BUNDLES[name])
    skin = (skin + rng.normal(0, 0.6 * _WANDER_CM, skin.shape) * [0.7, 1, 0.7]) * [side, 1, 1]
    free = (free + rng.normal(0, 2 * _WANDER_CM, free.shape)) * [side, 1, 1]
    on_skin = _resample(_through(skin))
    flat = surface.nearest(on_skin, _outwards(on_skin))
    above = smooth(flat.points, 6)
    high = np.clip((above[:, 1:2] - 9.5) / 2.5, 0, 1)
    hair = _HAIR_CM * np.maximum(high, np.clip((3.5 - above[:, 2:]) / 3.0, 0, 1) * (above[:, 1:2] > 2))
    normal = smooth(flat.normals, 12)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    line = above + normal * hair
    count = len(line)
    if len(free):
        start = np.vstack([line[-3], line[-1]])
        line = np.vstack([line, _resample(_through(np.vstack([start, free])[1:]))[1:]])
        normal = np.vstack([normal, np.tile(_lean(side), (len(line) - count, 1))])
        normal = smooth(normal, 12)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        line = smooth(line, 8)
    tight = np.clip(style.twisted + rng.normal(0, 0.2), 0, 1)
    return _Bundle(line, normal, count, rng.choice([-1, 1]) * (0.1 + 1.6 * tight**2), 0.55 - 0.38 * tight)


def _straps(bundles: Sequence[_Bundle], rng: np.random.Generator) -> Doubles:
    """(k, 2, 3): for each bundle a place where it passes bare skin, and the direction across it."""
    found = []
    for bundle in bundles:
        on_skin = bundle.line[1 : bundle.skin - 1]
        bare = np.flatnonzero((on_skin[:, 1] < 8.0) & (on_skin[:, 2] > 4.5)) + 1
        if len(bare):
            i = int(rng.choice(bare))
            across = np.cross(bundle.line[i + 1] - bundle.line[i - 1], bundle.normal[i])
            found.append([bundle.line[i], across / np.linalg.norm(across)])
    return np.array(found).reshape(-1, 2, 3)


def _lean(side: float) -> Doubles:
    towards = np.array([0.3 * side, 0.1, 1.0])
    return np.asarray(towards / np.linalg.norm(towards))


def _lead(
    surface: SkinSurface,
    point: Doubles,
    normal: Doubles,
    bundle: _Bundle,
    slot: Doubles,
    style: ElectrodeStyle,
    rng: np.random.Generator,
) -> tuple[Doubles, Doubles, Doubles, Doubles]:
    """One cable: points (n, 3), normals (n, 3), how far each hangs (n,), height above the skin (n,)."""
    thick = 0.4 * style.cable_cm
    on_skin = bundle.line[: bundle.skin]
    away = np.linalg.norm(on_skin - point, axis=1)
    nearest = int(np.argmin(away))
    ahead = float(rng.uniform(0.6, 1.4)) * (1.2 + 0.6 * float(away[nearest]))
    joint = min(nearest + int(ahead / STEP_CM), bundle.skin - 2)
    run = bundle.line[joint + 1] - bundle.line[joint - 1]
    run /= np.linalg.norm(run)
    way = bundle.line[joint] - point
    leave = way / max(float(np.linalg.norm(way)), 1e-6) + 0.35 * rng.normal(0, 1, 3) + 0.25 * run
    if abs(point[0]) < 1.2 and -3.5 < point[1] < 4.6:  # not over the nose's wings, not over an eye
        leave += [np.sign(way[0]), -1.0, 0] if point[1] < 1 else [0, 1.6, 0]
    leave -= (leave @ normal) * normal
    leave /= np.linalg.norm(leave)
    start = point + 0.5 * style.tape_cm * leave
    length = float(np.linalg.norm(bundle.line[joint] - start))
    count = max(int(length / STEP_CM) + 1, 4)
    t = np.linspace(0, 1, count)[:, None]
    pull = length * rng.uniform(0.7, 1.1)
    curve = (
        (2 * t**3 - 3 * t**2 + 1) * start
        + (t**3 - 2 * t**2 + t) * pull * leave
        + (3 * t**2 - 2 * t**3) * bundle.line[joint]
        + (t**3 - t**2) * pull * run
    )
    flat = surface.nearest(curve, _outwards(curve) + 1.5 * normal)
    lying = flat.points.copy()
    lying[-1] = bundle.line[joint]
    lying = smooth(lying, 4)
    own = np.vstack([lying[:-1], bundle.line[joint:]])
    out = np.vstack([flat.normals[:-1], bundle.normal[joint:]])
    out = smooth(out, 6)
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    along = np.arange(len(own), dtype=np.float64) * STEP_CM
    merged = np.clip((along - along[count - 1] + 1.2) / 2.2, 0, 1)
    merged = merged * merged * (3 - 2 * merged)
    return _wind(own, out, along, merged, count, joint, bundle, slot, thick, rng)


def _wind(
    line: Doubles,
    normal: Doubles,
    along: Doubles,
    merged: Doubles,
    count: int,
    joint: int,
    bundle: _Bundle,
    slot: Doubles,
    thick: float,
    rng: np.random.Generator,
) -> tuple[Doubles, Doubles, Doubles, Doubles]:
    """Move a cable from the bundle's middle to its own place in it, and up from the skin."""
    run = np.gradient(line, axis=0)
    run /= np.maximum(np.linalg.norm(run, axis=1, keepdims=True), 1e-9)
    across = np.cross(run, normal)
    within = np.concatenate([np.full(count - 1, joint), np.arange(joint, len(bundle.line))]) * STEP_CM
    angle = slot[0] + bundle.turn * within + 0.5 * np.sin(0.5 * within + slot[2])
    radius = bundle.spread * slot[1] * (1 + 0.3 * np.sin(0.7 * within + 5 * slot[2]))
    pair = slot[2] + 2.4 * along  # a pair's leads are wound around each other
    side = merged * (radius * np.cos(angle) + 1.1 * thick * np.cos(pair))
    side += (1 - merged) * 0.9 * thick * np.cos(pair)
    bow = float(rng.uniform(0.02, 0.22)) * np.sin(np.pi * np.clip(along / max(along[count - 1], 1e-6), 0, 1)) ** 2
    free = np.clip((np.arange(len(line)) - (count - 1) - (bundle.skin - 1 - joint)) * STEP_CM / _FADES_CM, 0, 1)
    squeeze = 0.35 + 0.65 * free  # on the skin a bundle is flat
    lift = thick + 0.02 + bow + merged * squeeze * radius * (1 + np.sin(angle)) + 0.5 * thick * (1 + np.sin(pair))
    wander = np.zeros(len(line))
    for wave in (5.0, 9.0):
        wander += float(rng.normal(0, 0.05)) * np.sin(2 * np.pi * along / wave + float(rng.uniform(0, 6.28)))
    side += wander * np.clip(along / 1.5, 0, 1)
    points = line + across * side[:, None] + normal * lift[:, None]
    hang = free * free * (3 - 2 * free)
    return points, normal, hang, np.where(free > 0, _CLEAR_CM * free + lift, lift)


def _outwards(points: Doubles) -> Doubles:
    """Roughly where the head's surface faces at points around it."""
    away = points * [1.0, 0.35, 1.0] - [0, 0.6, 1.0]
    return np.asarray(away / np.linalg.norm(away, axis=1, keepdims=True))


def _through(points: Doubles) -> Doubles:
    """A Catmull-Rom curve through points (n, 3), ends doubled, finely."""
    padded = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    t = np.linspace(0, 1, 24, endpoint=False)[:, None]
    parts = []
    for i in range(len(points) - 1):
        a, b, c, d = padded[i : i + 4]
        parts.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.vstack([*parts, points[-1:]])


def _resample(curve: Doubles) -> Doubles:
    """The same curve with points STEP_CM apart."""
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    at = np.arange(0, length[-1], STEP_CM)
    return np.column_stack([np.interp(at, length, curve[:, k]) for k in range(3)])
