import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.metrics.expression import ExpressionReader, expression_error
from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPE_INDEX

DATA, ASSETS = (Path(os.environ.get(name, "/missing")) for name in ("MYOMIRROR_DATA", "MYOMIRROR_ASSETS"))
LANDMARKER = ASSETS / "face_landmarker.task"


def test_error_is_the_mean_of_51_and_leaves_neutral_out():
    truth = np.zeros(52, np.float32)
    found = truth.copy()
    found[0] = 0.9
    assert expression_error(found, truth) == 0
    found[7], found[9] = 0.5, -0.01
    assert expression_error(found, truth) == pytest.approx(0.51 / 51)
    with pytest.raises(BadInput, match="52"):
        expression_error(found[1:], truth)


def test_no_model_is_one_sentence(tmp_path):
    with pytest.raises(BadInput, match="assets fetch"):
        ExpressionReader(tmp_path / "none.task")
    (tmp_path / "bad.task").write_bytes(b"no model")
    with pytest.raises(BadInput, match="no face landmarker"):
        ExpressionReader(tmp_path / "bad.task")


@pytest.mark.skipif(not (LANDMARKER.is_file() and DATA.is_dir()), reason="needs MYOMIRROR_DATA and MYOMIRROR_ASSETS")
def test_a_smile_is_read_off_a_small_crop_and_a_wall_shows_none():
    smile = BLENDSHAPE_INDEX["mouthSmileLeft"]
    with ExpressionReader(LANDMARKER) as reader:
        assert reader.read(np.full((90, 90, 3), 128, np.uint8)) is None
        found = {}
        for name in ("neutral", "smiling"):
            photo = cv2.imread(str(sorted((DATA / "london_faces" / name).glob("*.jpg"))[0]))
            large = reader.read(photo)
            box = [*large.landmarks_px.min(0), *large.landmarks_px.max(0)]
            assert (np.array(box) >= 0).all()
            x0, y0, x1, y1 = (round(float(v)) for v in box)
            pad = (x1 - x0) // 5
            crop = cv2.resize(photo[y0 - pad : y1 + pad, x0 - pad : x1 + pad], (128, 128), interpolation=cv2.INTER_AREA)
            small = reader.read(crop)
            assert np.abs(small.blendshapes - large.blendshapes).mean() < 0.06
            found[name] = small.blendshapes[smile]
        assert found["smiling"] > 0.5 > 0.2 > found["neutral"]
