"""The process that makes the page's 3D face: `python -m rt.web.face_maker FACE_MODEL MONTAGE CHANNEL...`.

The file goes to standard output, a sentence about what does not fit to standard error.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from engines.emg.montage import MONTAGES
from engines.errors import EngineError
from engines.face.face_bin import encode_face
from engines.face.face_geometry import face_geometry
from engines.face.mesh import FaceModel

_NICENESS = 5  # the display comes first


def main(arguments: Sequence[str]) -> int:
    """Write the file: 0, or 2 when the model or a channel does not fit."""
    path, montage, *labels = arguments
    try:
        face = face_geometry(FaceModel.load(Path(path)), MONTAGES[montage].subset(labels))
    except EngineError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.buffer.write(encode_face(face))
    return 0


if __name__ == "__main__":
    os.nice(_NICENESS)
    sys.exit(main(sys.argv[1:]))
