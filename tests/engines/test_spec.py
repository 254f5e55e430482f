import json

import pytest

from engines.errors import BadInput
from engines.spec import ArraySpec

FACE = ArraySpec("face", "height, width, colour", "uint8", (0, 255), "grey level", "BGR", (128, 128, 3))
OLD = {"name": "x", "layout": "name", "dtype": "float32", "range": [0, 1], "unit": "1", "colour": None}


def test_a_spec_survives_a_file():
    assert ArraySpec.from_json(json.loads(json.dumps(FACE.to_json()))) == FACE


def test_a_shape_need_not_be_stated():
    spec = ArraySpec.from_json(OLD)
    assert spec.shape is None
    assert spec.to_json() == OLD


@pytest.mark.parametrize("shape", [[128, 128], [128, 128, 3, 1], [0, 128, 3], [128, True, 3], [1.5, 2, 3], 128, "128"])
def test_a_shape_has_one_length_per_axis(shape):
    with pytest.raises(BadInput, match="shape must be one length per axis of 'height, width, colour'"):
        ArraySpec.from_json({**FACE.to_json(), "shape": shape})


def test_an_unknown_key_is_refused():
    with pytest.raises(BadInput, match="exactly the keys"):
        ArraySpec.from_json({**OLD, "color": "BGR"})
