"""Errors of an encoder whose answers are known."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from calibration.data.face_set import FaceSet  # noqa: E402
from calibration.encoder_score import encoder_metrics  # noqa: E402
from engines.face.crop_geometry import CropGeometry  # noqa: E402
from engines.face.mesh import FaceModel  # noqa: E402
from engines.networks.face_encoder import Encoded  # noqa: E402
from rt.assets import FOLDER_VARIABLE  # noqa: E402

CPU = torch.device("cpu")


class Oracle(torch.nn.Module):
    """Says the truth about pictures in their order, `off` beside it."""

    def __init__(self, truth, rows, off=0.0, unsteady=0.0):
        super().__init__()
        self.truth, self.rows, self.off, self.unsteady, self.asked = truth, rows, off, unsteady, 0

    def forward(self, x):
        at = self.rows[np.arange(self.asked, self.asked + len(x)) % len(self.rows)]
        self.asked += len(x)
        expression, shape, six = (torch.from_numpy(np.array(part[at])) for part in self.truth[:3])
        sign = torch.tensor([1.0 if row % 2 else -1.0 for row in range(len(at))])[:, None]
        return Encoded(expression + self.off, shape + self.unsteady * sign, six[:, :3], six[:, 3:], x.new_zeros(0, 0))


def test_errors_are_what_was_put_in(grey_faces):
    import os
    from pathlib import Path

    faces = FaceSet.open(grey_faces).select("train")
    model = FaceModel.load(Path(os.environ[FOLDER_VARIABLE]) / "ict_facekit_light.npz")
    geometry = CropGeometry(model, faces.size)
    encoders = {"": Oracle(faces.truth, faces.clean_at), "_off": Oracle(faces.truth, faces.clean_at, 0.25, 0.5)}
    found = encoder_metrics(encoders, faces, faces.size, CPU, "3 people", geometry)
    for kind in ("clean", "covered"):
        assert found[f"expression_{kind}"].value == 0
        assert found[f"shape_{kind}"].value == pytest.approx(0, abs=1e-4)
        assert found[f"landmarks_{kind}"].value == pytest.approx(0, abs=0.01)
        assert found[f"expression_{kind}_off"].value == pytest.approx(0.25, abs=1e-4)
        assert found[f"shape_{kind}_off"].value == pytest.approx(0.5, abs=1e-4)
        assert found[f"landmarks_{kind}_off"].value > 0.5
    assert found["expression_covered"].on == "3 people, under electrodes"


def test_nothing_known_nothing_measured(oval_faces):
    assert encoder_metrics({}, FaceSet.open(oval_faces), 36, CPU, "nobody") == {}
