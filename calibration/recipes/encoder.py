"""A face encoder from faces whose parameters are known: EIFER's E^N, or the small live one.

The paper takes SMIRK's pretrained encoders, whose weights and face model are not free.  Here the cohort's clean frames
teach with their true parameters, and photos with what MediaPipe reads off them.  `covered` shows some of the faces
under electrodes: the same truth, so a live encoder can learn them directly.

    myomirror simulate faces --out FACES
    myomirror train encoder --data FACES --out encoder-cpu --set covered=0.5                live
    myomirror train encoder --data FACES --out e-n --set arrangement=three --set width=1 --size 224     EIFER's E^N
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from calibration.average import MovingAverage
from calibration.cohort_sources import find_face_model
from calibration.descent import Descent
from calibration.distributed import Ranks
from calibration.encoder_bundle import encoder_manifest, read_encoder
from calibration.encoder_score import encoder_metrics
from calibration.face_bundle import Ancestor, training_of, write_trained
from calibration.known_faces import KnownBatch, KnownFaces, Movements
from calibration.losses.face_parameters import confidence_loss, known_distances, known_squares, rigid_loss
from calibration.planes import Picture, pictures_of
from calibration.recipe import Kept, Losses
from calibration.setting_words import as_json
from calibration.train_data import Parts, open_faces, parts_of
from calibration.train_order import Kind, Order, in_loop
from engines.face.crop_geometry import CropGeometry
from engines.face.mesh import FaceModel
from engines.networks.face_encoder import SMALLEST, EncoderSizes, FaceEncoder, initialise_encoder
from rt.errors import BadSettings

_LARGEST_GRADIENT = 1.0  # of a step, as a norm
_LAST_RATE = 0.02  # of the learning rate, at the end
_SHOWN = 4  # faces in the log's picture


@dataclass(frozen=True)
class EncoderSettings:
    """What the live encoder is trained with."""

    profile: str = "arkit52"
    shapes: int = 100
    arrangement: str = "shared"  # "three": the paper's
    width: float = 0.75
    size: int = 128  # px
    batch: int = 32  # over all processes
    epochs: int = 40
    learning_rate: float = 1e-3
    warm_up: float = 0.02  # share of the steps over which it rises; then it falls along a cosine
    weight_decay: float = 1e-3
    lambda_expression: float = 20.0
    bend: float = 0.0  # of the expression's loss: beyond this error squares go straight on (Huber); 0: squares
    lambda_shape: float = 0.05
    lambda_rigid: float = 2.0
    lambda_landmarks: float = 20.0
    lambda_confidence: float = 0.05  # where the arrangement gives one
    measured: float = 0.3  # weight of MediaPipe's values of photos beside the cohort's truth
    covered: float = 0.0  # share of the faces that is seen under electrodes; E^N sees none
    turn_deg: float = 5.0
    zoom: float = 0.05
    shift: float = 0.04
    mirror: float = 0.5  # share of the faces; electrodes are even on both sides, expressions need not be
    variation: float = 1.0  # how far cameras differ, 0..1
    precision: str = "fp32"  # "bf16", "fp16"
    average: float = 0.999  # decay of the moving average that the bundle holds; 0: the last weights
    storage: str = "float16"  # of the bundle's weights
    seed: int = 1

    def __post_init__(self) -> None:
        """Raises BadSettings for a number that cannot be, BadInput for an encoder that cannot be."""
        if self.profile != "arkit52":
            raise BadSettings(
                f"the cohort knows its expressions as arkit52, found the profile {self.profile!r}: flame55 needs an "
                f"encoder from elsewhere"
            )
        if self.size < SMALLEST:
            raise BadSettings(f"size must be {SMALLEST} or more, found {self.size}")
        for name in ("warm_up", "covered", "mirror", "variation", "shift", "bend"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadSettings(f"{name} must be 0..1, found {getattr(self, name)}")
        for name in ("batch", "epochs"):
            if getattr(self, name) < 1:
                raise BadSettings(f"{name} must be 1 or more, found {getattr(self, name)}")
        _ = self.sizes

    @property
    def sizes(self) -> EncoderSizes:
        """The network's."""
        return EncoderSizes(self.profile, self.shapes, self.arrangement, self.width)

    @property
    def movements(self) -> Movements:
        """The data's."""
        return Movements(self.size, self.turn_deg, self.zoom, self.shift, self.variation, self.covered, self.mirror)


class Encoder:
    """The training as calibration/loop.py runs it (see calibration/recipe.py)."""

    name = "encoder"

    def __init__(self, order: Order, settings: EncoderSettings, ranks: Ranks) -> None:
        """Raises BadInput, BundleError and BadSettings for data, a bundle or settings that do not fit."""
        self.order, self.settings, self.ranks = order, settings, ranks
        faces_there = open_faces(order.data, order.run.folder, settings.size, ranks)
        self.parts: Parts = parts_of(faces_there, order.people, order.fraction)
        s, faces = settings, self.parts.train
        self.faces = KnownFaces(faces, s.movements, s.batch, s.seed, ranks)
        if faces.truth_modes != s.shapes:
            raise BadSettings(
                f"the faces know {faces.truth_modes} identity weights: give --set shapes={faces.truth_modes}"
            )
        self.seed, self.epochs, self.steps_per_epoch = s.seed, s.epochs, self.faces.steps_per_epoch
        self.encoder = FaceEncoder(s.sizes)
        initialise_encoder(self.encoder, s.seed)
        self.ancestor: Ancestor | None = None
        if order.start_from is not None:
            begun, about = read_encoder(order.start_from)
            if begun.sizes != s.sizes:
                raise BadSettings(
                    f"{order.start_from} is an encoder of other sizes ({begun.sizes}): give the same ones"
                )
            self.encoder.load_state_dict(begun.state_dict())
            self.ancestor = Ancestor(order.start_from.name, about.training)
        self.identity = {
            **as_json(s),
            "origin": faces.origin,
            "people": list(faces.people),
            "pictures": len(faces.clean_rows),
            "start_from": None if self.ancestor is None else self.ancestor.name,
        }
        # Depthwise convolutions and batch norms read pixel by pixel: 1.7 x as fast in this order on a processor
        network: Any = self.encoder  # PyTorch's types do not know the argument
        network.to(ranks.device, memory_format=torch.channels_last)
        adam = torch.optim.AdamW(self.encoder.parameters(), s.learning_rate, weight_decay=s.weight_decay)
        self.descent = Descent(adam, ranks, s.precision)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(adam, self._learning_rate_gain)
        self.average = MovingAverage(self.encoder, s.average) if s.average else None
        self.geometry = CropGeometry(FaceModel.load(find_face_model(None)), s.size).to(ranks.device)
        self._shown: KnownBatch | None = None

    @property
    def kept(self) -> Mapping[str, Kept]:
        """Everything that the next step depends on."""
        kept: dict[str, Kept] = {"encoder": self.encoder, "descent": self.descent, "schedule": self.schedule}
        return kept if self.average is None else {**kept, "average": self.average}

    def batch(self, number: int) -> KnownBatch:
        """Step `number`'s faces: this process' share."""
        return self.faces.batch(number)

    def step(self, batch: KnownBatch) -> Losses:
        """Learn from one batch.  Returns every term as it enters the sum."""
        self._shown = batch
        self.encoder.train()
        terms = self._terms(batch)
        self.descent.step(torch.stack(list(terms.values())).sum(), _LARGEST_GRADIENT)
        self.schedule.step()
        if self.average is not None:
            self.average.update()
        return terms

    def _terms(self, batch: KnownBatch) -> dict[str, Tensor]:
        s, device = self.settings, self.ranks.device
        picture, expression, shape, rigid, landmarks, measured = (part.to(device) for part in batch[:6])
        with self.descent.precision():
            said = self.encoder(((picture + 1) / 2).contiguous(memory_format=torch.channels_last))
        marks = self.geometry.landmarks(*(part.float() for part in said[:4]))
        trust = torch.where(measured, s.measured, 1.0)
        terms = {
            "expression": s.lambda_expression * self._expression_loss(said.expression, expression, trust),
            "shape": s.lambda_shape * known_squares(said.shape, shape),
            "rigid": s.lambda_rigid * rigid_loss(said.pose.float(), said.camera.float(), rigid),
            "landmarks": s.lambda_landmarks * known_squares(marks, landmarks),
        }
        if said.confidence.shape[1]:
            terms["confidence"] = s.lambda_confidence * confidence_loss(said.confidence, said.expression, expression)
        return terms

    def _expression_loss(self, found: Tensor, wanted: Tensor, trust: Tensor) -> Tensor:
        bend = self.settings.bend
        return known_distances(found, wanted, bend, trust) if bend else known_squares(found, wanted, trust)

    def epoch_ended(self) -> None:
        """Nothing: the learning rate moves on with every step."""

    def pictures(self) -> Mapping[str, Any]:
        """Some faces of the last batch above what they were read as, rendered."""
        if self._shown is None:
            return {}
        network = self.average.network if self.average is not None else self.encoder
        faces = self._shown.picture[:_SHOWN].to(self.ranks.device)
        was_training = network.training
        network.eval()
        with torch.no_grad():
            placed = self.geometry.place(*(part.float() for part in network((faces + 1) / 2)[:4]))
            grey = (2 * self.geometry.render(placed) - 1).expand(-1, 3, -1, -1)
        network.train(was_training)
        sheet: Picture = pictures_of(torch.cat([torch.cat(list(row), 2) for row in (faces, grey)], 1)[None])[0]
        return {"faces as read": sheet[:, :, ::-1]}

    def finish(self) -> None:
        """Measure the encoder on what was held out, and write it as a bundle.  Raises as `write_trained` does."""
        s, parts = self.settings, self.parts
        network: Any = self.average.network if self.average is not None else self.encoder
        metrics = {}
        if parts.held_out is not None:
            held_out = (parts.held_out, s.size, self.ranks.device, parts.held_out_words)
            metrics = encoder_metrics({"": network}, *held_out, self.geometry)
        training = training_of(parts.train, s.seed, self.ancestor)
        write_trained(
            self.order.out, encoder_manifest(s.sizes, s.size, training, metrics), network.cpu().eval(), s.storage
        )

    def _learning_rate_gain(self, step: int) -> float:
        """Rises linearly, then falls along half a cosine."""
        total = self.epochs * self.steps_per_epoch
        rising = max(1, round(total * self.settings.warm_up))
        if step < rising:
            return (step + 1) / rising
        along = min(1.0, (step - rising) / max(1, total - rising))
        return _LAST_RATE + (1 - _LAST_RATE) * 0.5 * (1 + math.cos(math.pi * along))


KIND = Kind(settings=EncoderSettings(), learn=in_loop(Encoder), fine_tuning={"epochs": 10, "learning_rate": 2e-4})
