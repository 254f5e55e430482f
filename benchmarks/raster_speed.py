"""How fast the rasteriser draws the face model, against OpenCV's own and against NumPy, on one core.

    python -m benchmarks.raster_speed [--quick]

`cv2.triangleRasterize` (OpenCV 5, C++) is the fastest CPU rasteriser that comes with a wheel; it is given the same
pixel grid and draws per-vertex colours and depth, so ours draws and interpolates three attributes.  It has no textures:
the textured head is held against its colours.  NumPy draws one triangle at a time, everything inside it vectorised.
Before times are taken, the pictures are compared.  Needs the face model in $MYOMIRROR_ASSETS.
"""

import argparse
import importlib.util
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.measure import (
    Row,
    Spread,
    Target,
    alternate,
    conditions,
    merge_rounds,
    repeat,
    show,
    warn_when_busy,
    write_results,
)
from engines.face import raster_grey
from engines.face.arrays import Floats, Indices, Picture
from engines.face.mesh import FaceModel
from engines.face.mesh_files import PACKED
from engines.face.normals import picture_normals
from engines.face.raster import Raster
from rt.assets import FOLDER_VARIABLE

FACE_PX, HEAD_PX = 224, 480
FACE, HEAD = "face, 224 x 224", "whole head, 480 x 480"
_FOCAL_PX, _DISTANCE_PX = 1000.0, 2000.0  # of OpenCV's camera; any will do, the vertices are placed to fit


@dataclass(frozen=True)
class Scene:
    """A mesh in front of a square picture: projected (V, 3), triangles (F, 3), colours (V, 3) 0..1."""

    size: int
    projected: Floats
    triangles: Indices
    colours: Floats


def scene(model: FaceModel, size: int, height_cm: float, middle_cm: float) -> Scene:
    """The model seen from the front; height_cm of it fill the picture around the height middle_cm."""
    scale = size / height_cm
    projected = model.neutral * np.array([scale, -scale, scale], np.float32)
    projected += np.array([size / 2, size / 2 + scale * middle_cm, 0], np.float32)
    low, high = model.neutral.min(0), model.neutral.max(0)
    return Scene(size, projected, model.triangles.copy(), (model.neutral - low) / (high - low))


def ours(at: Scene) -> tuple[Callable[[], object], Raster, Floats]:
    """Drawing and interpolating the colours: the work, and where its results lie."""
    raster, out = Raster(at.size, at.size), np.zeros((at.size, at.size, 3), np.float32)

    def work() -> None:
        raster.clear()
        raster.draw(at.projected, at.triangles)
        raster.interpolate(at.colours, at.triangles, out)

    return work, raster, out


def opencv(at: Scene) -> tuple[Callable[[], object], Floats, Floats]:
    """The same by OpenCV: the work, its depth (z_px, -inf where nothing is) and its colours."""
    away = _DISTANCE_PX - at.projected[:, 2]
    x, y = ((at.projected[:, k] - at.size / 2 + 0.5) * away / _FOCAL_PX for k in range(2))  # its centres are at halves
    vertices = np.column_stack([x, -y, -away]).astype(np.float32)
    colours = np.zeros((at.size, at.size, 3), np.float32)
    depth, camera = np.zeros((at.size, at.size), np.float32), np.eye(4, dtype=np.float32)
    view = (camera, 2 * math.atan(at.size / 2 / _FOCAL_PX), 100.0, 2 * _DISTANCE_PX)
    settings = cv2.TriangleRasterizeSettings()
    settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)
    settings.setCullingMode(cv2.RASTERIZE_CULLING_CW)

    def work() -> None:
        colours[:] = 0
        depth[:] = 2 * _DISTANCE_PX
        cv2.triangleRasterize(vertices, at.triangles, at.colours, colours, depth, *view, settings)

    return work, depth, colours


def numpy_twin(at: Scene) -> Callable[[], Floats]:
    """The same in NumPy: faces turned away and empty boxes sorted out at once, then one triangle at a time."""
    colours = np.zeros((at.size, at.size, 3), np.float32)
    depth = np.zeros((at.size, at.size), np.float32)

    def work() -> Floats:
        colours[:], depth[:] = 0, -np.inf
        corners = at.projected[at.triangles]  # (F, 3, 3)
        edges = np.roll(corners, -1, 1)[..., :2] - corners[..., :2]
        area = edges[:, 1, 0] * edges[:, 0, 1] - edges[:, 0, 0] * edges[:, 1, 1]
        low = np.clip(np.ceil(corners[..., :2].min(1)), 0, None).astype(int)
        high = np.clip(np.floor(corners[..., :2].max(1)), None, at.size - 1).astype(int)
        for t in np.flatnonzero((area > 0) & (low <= high).all(1)):
            (left, top), (right, bottom) = low[t], high[t]
            y, x = np.ogrid[top : bottom + 1, left : right + 1]
            away = [edges[t, k, 1] * (x - c[0]) - edges[t, k, 0] * (y - c[1]) for k, c in enumerate(corners[t])]
            weights = np.stack([away[1], away[2], away[0]], -1) / area[t]
            z = weights @ corners[t, :, 2]
            box = slice(top, bottom + 1), slice(left, right + 1)
            nearer = (weights >= 0).all(-1) & (z > depth[box])
            depth[box][nearer] = z[nearer]
            colours[box][nearer] = weights[nearer] @ at.colours[at.triangles[t]]
        return colours

    return work


def compare(at: Scene) -> None:
    """Raises ValueError when OpenCV and we do not see the same: then the times would say nothing."""
    work, raster, picture = ours(at)
    peer, depth, colours = opencv(at)
    work()
    peer()
    mine, theirs = raster.triangle >= 0, depth < 2 * _DISTANCE_PX - 1  # OpenCV gives what it cleared back rounded
    both = mine & theirs
    apart = np.abs(_DISTANCE_PX - depth - raster.depth)[both]
    off = np.abs(picture - colours)[both]
    if (mine != theirs).mean() > 1e-4 or np.median(apart) > 0.02 or off.mean() > 1e-3:
        raise ValueError(
            f"OpenCV and ours draw different pictures: {(mine != theirs).sum()} pixels only in one, "
            f"depth off by {np.median(apart):.3g} px, colours by {off.mean():.3g}"
        )


def measure(model: FaceModel, repeats: int = 200) -> list[Row]:
    """Rows of what, ours_us, ours_p95_us, peer, peer_us, ratio (peer / ours); OpenCV on one thread, as ours."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        face = scene(model.part("face"), FACE_PX, 26.0, 0.0)
        head = scene(model, HEAD_PX, 34.0, -2.0)
        for at in (face, head):
            compare(at)
        return [
            *_plain(FACE, face, repeats),
            *_plain(HEAD, head, repeats),
            *_textured(model, head, repeats),
            _grey(face),
            *_differentiable(face),
        ]
    finally:
        cv2.setNumThreads(threads)


def _plain(name: str, at: Scene, repeats: int) -> list[Row]:
    mine, theirs = ours(at)[0], opencv(at)[0]
    taken = alternate({"ours": mine, "OpenCV": theirs}, repeats, 10)
    slow = repeat(numpy_twin(at), 3, 1)
    what = f"draw and three attributes: {name}, {len(at.triangles)} triangles"
    rows = [_row(what, taken["ours"], "cv2.triangleRasterize, colours and depth", taken["OpenCV"])]
    return [*rows, _row(what, taken["ours"], "NumPy, one triangle at a time", slow)]


def _textured(model: FaceModel, at: Scene, repeats: int) -> list[Row]:
    """The head with a picture on it; each part of the model has its own square of the texture (a UV tile)."""
    raster, out = Raster(at.size, at.size), np.zeros((at.size, at.size, 3), np.uint8)
    texture = cv2.cvtColor(_smooth_picture(1024), cv2.COLOR_BGR2BGRA)  # as one keeps it that stays the same
    uvs, corners = (model.uvs % 1).astype(np.float32), model.triangle_uvs

    def work() -> None:
        raster.clear()
        raster.draw(at.projected, at.triangles)
        raster.texture(uvs, corners, texture, out)

    taken = alternate({"ours": work, "OpenCV": opencv(at)[0]}, repeats, 10)
    peer = "cv2.triangleRasterize, colours in place of the texture"
    return [_row(f"draw and texture 1024 x 1024: {HEAD}", taken["ours"], peer, taken["OpenCV"])]


def _grey(at: Scene) -> Row:
    raster, out = Raster(at.size, at.size), np.zeros((at.size, at.size), np.uint8)
    normals = np.empty_like(at.projected)
    whole = repeat(lambda: raster_grey.render_grey(raster, at.projected, at.triangles, out, normals))
    alone = repeat(lambda: picture_normals(at.projected, at.triangles, normals))
    return {
        "what": f"normals, draw and five lights: {FACE}",
        "ours_us": whole.median,
        "ours_p95_us": whole.p95,
        "normals_us": alone.median,
    }


def _differentiable(at: Scene) -> list[Row]:
    """The grey render and its gradients to the vertices; no row where PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None:
        return []
    import torch

    from engines.face import raster_torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    raster, triangles = Raster(at.size, at.size), torch.from_numpy(at.triangles)
    projected = torch.from_numpy(at.projected)[None].requires_grad_()

    def work() -> None:
        torch.autograd.grad(raster_torch.render_grey(raster, projected, triangles).sum(), projected)

    try:
        taken = repeat(work, 50, 5)
    finally:
        torch.set_num_threads(threads)
    what = f"grey render with gradients, forward and backward: {FACE}"
    return [{"what": what, "ours_us": taken.median, "ours_p95_us": taken.p95}]


def _row(what: str, mine: Spread, peer: str, theirs: Spread) -> Row:
    return {
        "what": what,
        "ours_us": mine.median,
        "ours_p95_us": mine.p95,
        "peer": peer,
        "peer_us": theirs.median,
        "ratio": theirs.median / mine.median,
    }


def _smooth_picture(size: int) -> Picture:
    coarse = np.random.default_rng(0).integers(0, 256, (size // 16, size // 16, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC), np.uint8)


def targets(rows: Sequence[Row]) -> list[Target]:
    """DESIGN 8's 2 ms at 224 px, and that nothing else that runs on this core is as fast."""
    drawn = [row for row in rows if row["what"].startswith("draw and three")]
    face = next(row for row in rows if FACE in row["what"])
    textured = next(row for row in rows if "texture" in row["what"])
    opencv_ratio = min(row["ratio"] for row in drawn if "cv2" in row["peer"])
    numpy_ratio = min(row["ratio"] for row in drawn if "NumPy" in row["peer"])
    return [
        Target("face drawn at 224 px, three attributes", face["ours_us"] / 1e3, 2.0, "ms"),
        Target("whole textured head drawn at 480 px", textured["ours_us"] / 1e3, 12.0, "ms"),
        Target("rasteriser: OpenCV's time / ours", opencv_ratio, 2.0, "x", False),
        Target("rasteriser: NumPy's time / ours", numpy_ratio, 50.0, "x", False),
    ]


def face_model(environment: Mapping[str, str] = os.environ) -> FaceModel:
    """The face model from the assets folder.  Raises FileNotFoundError in one sentence."""
    path = Path(environment.get(FOLDER_VARIABLE, "."), PACKED)
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}: set ${FOLDER_VARIABLE} to the folder that holds {PACKED}")
    return FaceModel.load(path)


def main() -> None:
    """Measure, print, write results/raster_speed.json (not with --quick)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round, nothing is written")
    quick = parser.parse_args().quick
    under = conditions()
    try:
        model = face_model()
    except FileNotFoundError as error:
        sys.exit(str(error))
    rows = merge_rounds([measure(model, 30 if quick else 200) for _ in range(1 if quick else 3)], ("what", "peer"))
    notes = ["ratio: the peer's time / ours, measured in turns in the same run.", *warn_when_busy(under)]
    show("Rasteriser, one core", rows, targets(rows), notes)
    if not quick:
        write_results("raster_speed", rows, targets(rows), notes, under)


if __name__ == "__main__":
    main()
