"""The system libraries that wheels cannot bring: named in one sentence when one is missing.

`python -m rt.system_libraries` is what `make` asks; it imports nothing that needs them.
"""

import ctypes.util
import sys

from rt.errors import MissingDevice

# library -> Debian package; MediaPipe's face landmarker loads EGL and GLES even on the CPU, OpenCV loads GL and GLib
_NEEDED = {
    "GL": "libgl1",
    "EGL": "libegl1",
    "GLESv2": "libgles2",
    "glib-2.0": "libglib2.0-0",
}


def missing_packages() -> list[str]:
    """Debian packages whose library cannot be loaded here."""
    missing = []
    for library, package in _NEEDED.items():
        found = ctypes.util.find_library(library)
        try:
            ctypes.CDLL(found or f"lib{library}.so.0")
        except OSError:
            missing.append(package)
    return missing


def require_system_libraries() -> None:
    """Raise MissingDevice naming the packages to install."""
    if missing := missing_packages():
        raise MissingDevice(f"system libraries are missing: sudo apt-get install {' '.join(missing)}")


if __name__ == "__main__":
    try:
        require_system_libraries()
    except MissingDevice as error:
        sys.exit(str(error))
