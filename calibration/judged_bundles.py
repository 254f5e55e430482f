"""The bundles of one evaluation of EIFER's first phase, opened by what they are."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from calibration.encoder_bundle import NETWORK, SYSTEM
from calibration.face_readers import EncoderReader, Reconstruction, generator_size, is_generator
from calibration.planes import resized
from calibration.reading_scores import Restore
from engines.emg.montage import FRIDLUND
from engines.errors import BadInput
from engines.face.crop_geometry import CropGeometry
from engines.face.mesh import FaceModel
from engines.face.restorer import Restorer, fitting
from engines.loading import load
from engines.model import Model
from engines.shipped import bundle_folder
from engines.spec import Engine

GENERATOR = "-generator"  # what the name of an encoder's generator ends in


@dataclass
class JudgedBundles:
    """about: what the report says of each.  sizes: px that the networks work on, by name."""

    encoders: list[EncoderReader] = field(default_factory=list)
    restorers: dict[str, Restore] = field(default_factory=dict)
    reconstructions: list[Reconstruction] = field(default_factory=list)
    about: dict[str, dict[str, Any]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    @property
    def picture_size(self) -> int | None:
        """px of the smallest network that makes pictures; None without any."""
        makers = [*self.restorers, *(one.name + GENERATOR for one in self.reconstructions)]
        return min((self.sizes[name] for name in makers), default=None)


def open_bundles(
    paths: Sequence[Path],
    model: FaceModel,
    backend: str | None,
    precision: str | None,
    stack: ExitStack,
) -> JudgedBundles:
    """Open encoders, bundles that remove electrodes, and generators; `stack` closes them.

    model: ICT-FaceKit, whole.  backend, precision: as `engines.load` takes them.
    Raises BadInput when one is named twice, no encoder is there, or a generator's encoder is not; BundleError.
    """
    found = JudgedBundles()
    later = []
    for path in paths:
        read = Model.read(path)
        folder = bundle_folder(path).resolve()
        name = read.name if read.name not in found.about else f"{folder.parent.name}/{read.name}"
        if name in found.about or str(folder) in {one["path"] for one in found.about.values()}:
            raise BadInput(f"the bundle {name} is named twice: name each once, or rename its folder")
        manifest = read.bundle.manifest
        engine = load(read, backend=backend, precision=precision)
        stack.callback(engine.close)
        found.about[name] = {
            **{"path": str(folder), "system": manifest.system, "network": manifest.network},
            **{"backend": engine.backend, "precision": engine.precision},
            **{"training": vars(manifest.training), "sha256": manifest.sha256},
        }
        if is_generator(manifest):
            later.append((name, read, engine))
        elif manifest.system == SYSTEM and manifest.network == NETWORK:
            found.encoders.append(EncoderReader(name, manifest, engine, CropGeometry(model, 32)))
            found.sizes[name] = found.encoders[-1].size
        else:
            found.sizes[name] = fitting(manifest, name, "", FRIDLUND.name).size
            found.restorers[name] = _restoring(engine, found.sizes[name])
    if not found.encoders:
        raise BadInput("name a face encoder to evaluate: what is judged here is how faces are read")
    for name, read, engine in later:
        found.sizes[name] = generator_size(read.bundle.manifest)
        found.reconstructions.append(_reconstruction(name, found, engine, CropGeometry(model, found.sizes[name])))
    return found


def _restoring(engine: Engine, size: int) -> Restore:
    restorer = Restorer(engine)
    return lambda picture: restorer.run(np.ascontiguousarray(resized(picture, size)))[0].copy()


def _reconstruction(name: str, found: JudgedBundles, engine: Engine, geometry: CropGeometry) -> Reconstruction:
    own = [encoder for encoder in found.encoders if encoder.name + GENERATOR == name]
    if not own:
        raise BadInput(f"the generator {name} needs its encoder {name.removesuffix(GENERATOR)}: name both")
    return Reconstruction(own[0], engine, geometry)
