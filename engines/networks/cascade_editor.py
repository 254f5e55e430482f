"""Cascade EF-GAN: somebody's face with another expression, in small steps, eyes, nose and mouth looked at closely.

Wu et al. 2020, "Cascade EF-GAN: Progressive Facial Expression Editing with Local Focuses".  Each EF-GAN module is an
expression transformer (a global branch and three local ones, engines/networks/edit_branch.py) and a refiner that fuses
what they made.  Modules stand in a row; the expressions between come from an interpolator.  The defaults are the
paper's sizes.  Tensors are (picture, channel, height, width); expressions (picture, label) in [0, 1].

What the paper does not say: the refiner gets, outside of the patches, the input, and where patches overlap their mean;
so a transformer whose attention is 0 hands it the input twice.  Without local focuses a module is the global branch
alone, as in the paper's ablations.
"""

from dataclasses import dataclass, fields
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.errors import BadInput
from engines.face.action_units import PROFILES, check_profile
from engines.networks.blocks import initialise
from engines.networks.edit_branch import FORMS, EditBranch, Painted

STEP = 4  # sides of pictures and patches divide by it: two convolutions halve them
Patch = tuple[int, int, int, int]  # top, left, height, width, px

REGIONS = ("eyes", "nose", "mouth")  # of the patches, in this order
PAPER_PATCHES = ((40, 92), (40, 48), (40, 60))  # height, width at 128 px
PAPER_SIZE = 128


@dataclass(frozen=True)
class EditorSizes:
    """Everything that shapes the weights, or what is made of them."""

    size: int = PAPER_SIZE  # px of the face
    modules: int = 3
    patches: tuple[Patch, ...] = ()  # of eyes, nose, mouth; empty: no local focuses
    ngf: int = 64  # features of the global branch
    blocks: int = 6
    local_ngf: int = 64  # of each local branch
    local_blocks: int = 6
    refiner_ngf: int = 64
    refiner_blocks: int = 6
    between: int = 64  # features of the interpolator
    profile: str = "facs17"  # engines/face/action_units.py
    form: str = "paper"  # or "ours", engines/networks/edit_branch.py
    attention: bool = True  # False paints the whole picture anew, as StarGAN does
    known: int = 0  # expressions that the network knows, all others become the nearest; 0: any, as the paper

    def __post_init__(self) -> None:
        """Raises BadInput for what cannot be built; takes patches as lists too, as JSON gives them."""
        limits = {"size": (16, 1024), "modules": (1, 8), "ngf": (1, 512), "blocks": (0, 32), "local_ngf": (1, 512)}
        limits |= {"local_blocks": (0, 32), "refiner_ngf": (1, 512), "refiner_blocks": (0, 32), "between": (1, 4096)}
        for name, (least, most) in {**limits, "known": (0, 64)}.items():
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise BadInput(
                    f"{name} of an expression editor must be a whole number {least}..{most}, found {value!r}"
                )
        check_profile(self.profile)
        if self.form not in FORMS:
            raise BadInput(f"form of an expression editor is one of {', '.join(FORMS)}, found {self.form!r}")
        if type(self.attention) is not bool:
            raise BadInput(f"attention of an expression editor is true or false, found {self.attention!r}")
        self._check_places()

    def _check_places(self) -> None:
        if self.size % STEP:
            raise BadInput(f"size of an expression editor must divide by {STEP}, found {self.size}")
        given = self.patches
        listed = isinstance(given, list | tuple) and all(isinstance(patch, list | tuple) for patch in given)
        if not listed or len(given) not in (0, len(REGIONS)):
            raise BadInput(f"an expression editor has patches for {', '.join(REGIONS)} or none, found {given!r}")
        object.__setattr__(self, "patches", tuple(tuple(patch) for patch in given))
        for patch in self.patches:
            whole = len(patch) == 4 and all(type(number) is int for number in patch)
            if not whole or not _fits(patch, self.size):
                raise BadInput(
                    f"a patch is top, left, height, width within {self.size} px, its sides dividing by {STEP}, "
                    f"found {patch}"
                )

    @property
    def labels(self) -> int:
        """How many numbers an expression has."""
        return PROFILES[self.profile]


SIZE_NAMES = tuple(field.name for field in fields(EditorSizes))


def patch_at(centre: tuple[float, float], shape: tuple[int, int], size: int) -> Patch:
    """The patch of the paper's shape (at 128 px), scaled to `size`, around a place, moved into the picture.

    centre: x, y in px of a picture of `size` px.  shape: height, width at 128 px.
    """
    height, width = (max(STEP, min(size, STEP * round(side * size / PAPER_SIZE / STEP))) for side in shape)
    top, left = (
        min(max(round(middle - side / 2), 0), size - side) for middle, side in ((centre[1], height), (centre[0], width))
    )
    return top, left, height, width


class Step(NamedTuple):
    """What one EF-GAN module made."""

    face: Tensor  # (N, 3, S, S): its result
    whole: Tensor  # (N, 3, S, S): the global branch's; the result itself where there are no local branches
    patches: tuple[Tensor, ...]  # (N, 3, h, w) each: the local branches'
    attention: Tensor  # (N, 1, S, S): the global M_A
    colour: Tensor  # (N, 3, S, S): the global M_C
    patch_attention: tuple[Tensor, ...]  # (N, 1, h, w) each
    patch_colours: tuple[Tensor, ...]  # (N, 3, h, w) each

    @property
    def attentions(self) -> tuple[Tensor, ...]:
        """All of them."""
        return self.attention, *self.patch_attention


class EfGan(nn.Module):
    """One module: expression transformer and refiner."""

    weight: Tensor

    def __init__(self, sizes: EditorSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.whole = EditBranch(3, sizes.labels, sizes.ngf, sizes.blocks, sizes.attention, sizes.form)
        local = (3, sizes.labels, sizes.local_ngf, sizes.local_blocks, sizes.attention, sizes.form)
        self.local = nn.ModuleList(EditBranch(*local) for _ in sizes.patches)
        refined = (6, 0, sizes.refiner_ngf, sizes.refiner_blocks, sizes.form == "ours", sizes.form)
        self.refiner = EditBranch(*refined) if sizes.patches else None
        count = torch.zeros(1, 1, sizes.size, sizes.size)
        for top, left, height, width in sizes.patches:
            count[:, :, top : top + height, left : left + width] += 1
        self.register_buffer("weight", 1 / count.clamp(min=1), persistent=False)
        self.register_buffer("inside", (count > 0).float(), persistent=False)

    def forward(self, face: Tensor, labels: Tensor) -> Step:
        """face: (N, 3, S, S) in [-1, 1].  labels: (N, labels), the expression that is wanted."""
        painted = self.whole(face, labels)
        whole = painted.onto(face)
        if self.refiner is None:
            return Step(whole, whole, (), painted.attention, painted.colour, (), ())
        cut = [self.cut(face, place) for place in range(len(self.local))]
        local: list[Painted] = [branch(patch, labels) for branch, patch in zip(self.local, cut, strict=True)]
        patches = tuple(each.onto(patch) for each, patch in zip(local, cut, strict=True))
        refined = self.refiner(torch.cat((whole, self.stitched(patches, face)), 1))
        # The paper's refiner paints the face anew; ours edits what the global branch made
        result = refined.onto(whole)
        attention, colours = tuple(each.attention for each in local), tuple(each.colour for each in local)
        return Step(result, whole, patches, painted.attention, painted.colour, attention, colours)

    def cut(self, picture: Tensor, place: int) -> Tensor:
        """The patch of one region, 0 eyes, 1 nose, 2 mouth: (N, C, h, w)."""
        top, left, height, width = self.sizes.patches[place]
        return picture[:, :, top : top + height, left : left + width]

    def stitched(self, patches: tuple[Tensor, ...], background: Tensor) -> Tensor:
        """Patches at their places: their mean where they overlap, the background where there is none.

        patches: (N, C, h, w) each.  background: (N, C, S, S).
        """
        total = torch.zeros_like(background)
        for patch, (top, left, height, width) in zip(patches, self.sizes.patches, strict=True):
            size = self.sizes.size
            total = total + functional.pad(patch, (left, size - left - width, top, size - top - height))
        inside: Tensor = self.get_buffer("inside").to(background.dtype)
        return inside * total * self.weight.to(background.dtype) + (1 - inside) * background

    def edited(self, step: Step) -> Tensor:
        """(N, 1, S, S) in [0, 1]: the strongest attention of any branch at each pixel, to show where it looked."""
        if not step.patches:
            return step.attention
        return torch.maximum(step.attention, self.stitched(step.patch_attention, step.attention))


class Interpolator(nn.Module):
    """An expression between two that a face could have: a straight line's, corrected.

    As the paper has it, the original labels and the residual (pseudo target minus original) go in.  What its layers are
    is not published; here three linear ones say how far to leave the straight line, which is where training begins.
    """

    def __init__(self, labels: int, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2 * labels, features),
            nn.ReLU(inplace=True),
            nn.Linear(features, features),
            nn.ReLU(inplace=True),
            nn.Linear(features, labels),
        )

    def forward(self, source: Tensor, residual: Tensor) -> Tensor:
        """source, residual: (N, labels).  Returns (N, labels) in [0, 1]."""
        y: Tensor = source + residual + self.layers(torch.cat((source, residual), 1))
        return y.clamp(0, 1)


class Editing(NamedTuple):
    """What the whole cascade gives back."""

    face: Tensor  # (N, 3, S, S) in [-1, 1]
    edit: Tensor  # (N, 1, S, S) in [0, 1]: where any module looked


class CascadeEditor(nn.Module):
    """Modules in a row, and the interpolator that all of them share."""

    known: Tensor
    value_range = (-1.0, 1.0)
    output_ranges: ClassVar[dict[str, tuple[float, float]]] = {"face": (-1.0, 1.0), "edit": (0.0, 1.0)}

    def __init__(self, sizes: EditorSizes | None = None) -> None:
        super().__init__()
        self.sizes = sizes or EditorSizes()
        self.modules_in_row = nn.ModuleList(EfGan(self.sizes) for _ in range(self.sizes.modules))
        self.interpolator = Interpolator(self.sizes.labels, self.sizes.between)
        if self.sizes.known:
            self.register_buffer("known", torch.zeros(self.sizes.known, self.sizes.labels))

    def module_at(self, place: int) -> EfGan:
        """The EF-GAN at a place in the row, from 0."""
        found = self.modules_in_row[place]
        assert isinstance(found, EfGan)
        return found

    def forward(self, face: Tensor, source: Tensor, target: Tensor) -> Editing:
        """face: (N, 3, S, S).  source: (N, labels), the expression it has.  target: the one that is wanted."""
        edit = torch.zeros_like(face[:, :1])
        for place, labels in enumerate(self.way(source, target)):
            module = self.module_at(place)
            step = module(face, labels)
            face, edit = step.face, torch.maximum(edit, module.edited(step))
        return Editing(face, edit)

    def way(self, source: Tensor, target: Tensor) -> list[Tensor]:
        """What each module is told: the expressions between, and at last the wanted one."""
        source, target = self.as_known(source), self.as_known(target)
        count = self.sizes.modules
        return [*(self.between(source, target, place / count) for place in range(1, count)), target]

    def between(self, source: Tensor, target: Tensor, share: float | Tensor) -> Tensor:
        """The expression a share of the way along.  source, target: (N, labels).  share: 0..1, or (N, 1)."""
        found: Tensor = self.interpolator(source, share * (target - source))
        return found

    def as_known(self, labels: Tensor) -> Tensor:
        """The nearest expression that the network knows, where it knows few."""
        if not self.sizes.known:
            return labels
        distance = (labels[:, None] - self.known[None]).square().sum(2)  # (N, known)
        return self.known[distance.argmin(1)].to(labels.dtype)

    def begin_as_one(self) -> None:
        """Give every module the first one's weights: how the paper begins the cascade."""
        first = self.modules_in_row[0].state_dict()
        for module in list(self.modules_in_row)[1:]:
            module.load_state_dict(first)


def initialise_editor(editor: CascadeEditor, seed: int) -> None:
    """Fill every weight: convolutions as blocks.initialise does, the interpolator near the straight line."""
    initialise(editor, seed)
    numbers = torch.Generator().manual_seed(seed)
    for module in editor.modules():
        if isinstance(module, EditBranch):
            module.begin(numbers)
    for layer in editor.interpolator.layers:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_uniform_(layer.weight, a=5**0.5, generator=numbers)
            nn.init.zeros_(layer.bias)
    last = editor.interpolator.layers[-1]
    assert isinstance(last, nn.Linear)
    nn.init.normal_(last.weight, 0.0, 0.01, numbers)
    editor.begin_as_one()


def _fits(patch: Patch, size: int) -> bool:
    top, left, height, width = patch
    divides = height % STEP == 0 and width % STEP == 0 and min(height, width) >= STEP
    return divides and min(top, left) >= 0 and top + height <= size and left + width <= size
