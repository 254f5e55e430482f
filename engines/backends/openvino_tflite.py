"""Other people's TensorFlow Lite networks in OpenVINO: one input, several outputs, no bundle around them."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.backends.library import import_library
from engines.backends.openvino_backend import shared_core
from engines.errors import BadInput

Floats = npt.NDArray[np.float32]


class TfliteNetwork:
    """A compiled network that computes in float32.  `given` is filled by the caller, `found` after every `run`."""

    def __init__(self, tflite: bytes, shape: tuple[int, ...], threads: int | None = None) -> None:
        """tflite: the file's content.  shape: of the input, all axes.  threads: cores to use; None takes all.

        Raises BackendMissing without OpenVINO, BadInput when the content is no network with such an input.
        """
        openvino = import_library("openvino")
        model = _read(shared_core(openvino), tflite, shape)
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            "NUM_STREAMS": 1,
        }
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        compiled = shared_core(openvino).compile_model(model, "CPU", settings)
        self._request = compiled.create_infer_request()
        self.given: Floats = np.zeros(shape, np.float32)
        self._request.set_input_tensor(openvino.Tensor(self.given, shared_memory=True))
        self.found: tuple[Floats, ...] = tuple(
            self._request.get_output_tensor(i).data for i in range(len(model.outputs))
        )

    def run(self) -> tuple[Floats, ...]:
        """Compute `found` from `given`.  The GIL is released meanwhile."""
        self._request.start_async()
        self._request.wait()
        return self.found

    def close(self) -> None:
        """Give memory and threads back."""
        self.found = ()
        del self._request


def _read(core: Any, tflite: bytes, shape: tuple[int, ...]) -> Any:
    with tempfile.TemporaryDirectory() as folder:  # OpenVINO reads this format from files only
        path = Path(folder) / "network.tflite"
        path.write_bytes(tflite)
        try:
            model = core.read_model(path)
            model.reshape(list(shape))
        except RuntimeError as error:
            raise BadInput(f"OpenVINO cannot read this TensorFlow Lite network with an input of {shape}") from error
    return model
