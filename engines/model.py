"""A bundle on its way to a backend: its network as PyTorch module, and as ONNX in the form that the backend wants."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from engines.assembly import assemble
from engines.bundle import ONNX, Bundle, read_bundle
from engines.cache import cache_folder, digest, read_private, write_private
from engines.errors import BackendMissing
from engines.onnx_export import OPSET, export_onnx
from engines.shipped import bundle_folder

if TYPE_CHECKING:
    from torch import nn

_EXPORTER = "2"  # raised whenever this package writes another ONNX for the same bundle


@dataclass(frozen=True)
class Form:
    """How a network is written down.  folded: with the replacements of polyphase.py and fixed_norm.py, both exact."""

    precision: str  # "fp32", "fp16"
    folded: bool


CPU_FORM = Form("fp32", True)  # what a bundle's own model.onnx is


@dataclass(frozen=True, eq=False)
class Model:
    """A bundle that has been read, and what its network can be turned into."""

    bundle: Bundle
    name: str  # for sentences and reports

    @classmethod
    def read(cls, path: Path | str) -> "Model":
        """Read and check a bundle.  path: its folder, or the name of one that is shipped.  Raises BundleError."""
        folder = bundle_folder(path)
        return cls(read_bundle(folder), folder.name)

    def network(self) -> "nn.Module":
        """A fresh PyTorch module, float32, for inference.  Raises BundleError, BackendMissing."""
        return assemble(self.bundle)

    def onnx(self, form: Form) -> bytes:
        """The network as ONNX: the bundle's own file, what was exported earlier, or exported now with PyTorch.

        Raises BackendMissing, saying what to install, when it has to be exported and cannot be; also BuildError and
        BundleError.
        """
        if form == CPU_FORM and ONNX in self.bundle.files:
            return self.bundle.files[ONNX]
        path = cache_folder("onnx") / f"{digest(self._identity, repr(form).encode())}.onnx"
        known = read_private(path)
        if known is None:
            known = self._export(form)
            write_private(path, known)
        return known

    @cached_property
    def _identity(self) -> bytes:
        """Whatever changes the exported file."""
        manifest = self.bundle.manifest
        specs = [spec.to_json() for spec in (*manifest.inputs, *manifest.outputs)]
        said = [manifest.network, manifest.sizes, specs, OPSET, _EXPORTER]
        arrays = sorted(self.bundle.arrays.items())
        weights = digest(*(part for name, array in arrays for part in (name.encode(), array.tobytes())))
        return json.dumps([*said, weights], sort_keys=True).encode()

    def _export(self, form: Form) -> bytes:
        try:
            network = self.network()
        except BackendMissing as error:
            raise BackendMissing(f"the bundle {self.name} has no {ONNX} for this backend, and {error}") from error
        return exported(network, form, self.bundle)


def exported(network: "nn.Module", form: Form, bundle: Bundle) -> bytes:
    """Export a network in one form.  Raises BackendMissing, BuildError."""
    from engines.backends.library import import_library

    torch = import_library("torch")
    if form.folded:
        from engines.networks.fixed_norm import with_fixed_norms
        from engines.networks.polyphase import polyphase

        network = with_fixed_norms(polyphase(network))
    network = network.to({"fp32": torch.float32, "fp16": torch.float16}[form.precision])
    return export_onnx(network, bundle.manifest.inputs, bundle.manifest.outputs)
