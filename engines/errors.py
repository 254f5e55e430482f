"""Every error that the engines room raises.

EngineError                 catch this to catch all of them
+-- BadInput                an array, number or name that does not fit; the sentence says what to do
|   +-- UnknownChannel      a channel label that the montage does not know
|   +-- ChainMismatch       an envelope or bundle made by another EMG chain
+-- BundleError             a bundle on disk that is incomplete, altered or made for something else
+-- BackendMissing          a library, processor or graphics card that is not there; the sentence says what to install
+-- BuildError              a network that a backend cannot hold, or computes differently from PyTorch
+-- FaceLost                no usable face in this picture (normal in live use: callers keep going)
"""


class EngineError(Exception):
    """Base of everything the engines raise."""


class BadInput(EngineError, ValueError):
    """An array, number or name that does not fit."""


class UnknownChannel(BadInput):
    """A channel label that the montage does not know."""


class ChainMismatch(BadInput):
    """Numbers made by another EMG chain; mixing chains is refused."""


class BundleError(EngineError):
    """A bundle that is incomplete, altered or made for something else."""


class BackendMissing(EngineError):
    """What a backend needs is not installed or not plugged in."""


class BuildError(EngineError):
    """A network that a backend cannot hold, or computes differently from PyTorch."""


class FaceLost(EngineError):
    """No usable face in this picture."""
