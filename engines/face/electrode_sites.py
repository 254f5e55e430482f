"""Where the electrodes of the Fridlund and the Kuramoto scheme lie on the face model (ICT-FaceKit Light).

The table is made by calibration/electrode_sites.py from the sites in FACTS 1.1; it holds mixtures of the model's
vertices, nothing of the model itself.  A bipolar channel has two electrodes, "F20a" and "F20b", b further up along the
muscle or further to the person's left.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engines.emg.montage import Montage
from engines.errors import BadInput
from engines.face.skin_surface import Places, SkinSurface

BIPOLAR_CM = 0.95  # between the two electrodes of a pair; Fridlund and Cacioppo 1986 ask for 1 cm

# Electrode -> (three vertices, weights of the first two)
_SITES: dict[str, tuple[tuple[int, int, int], tuple[float, float]]] = {
    "F1a": ((1688, 1253, 1256), (0.62, 0.34)),
    "F1b": ((1252, 1258, 1257), (0.594, 0.279)),
    "F2a": ((3893, 3474, 3471), (0.62, 0.04)),
    "F2b": ((3470, 3475, 3476), (0.594, 0.126)),
    "F3a": ((328, 1420, 2128), (0.334, 0.379)),
    "F3b": ((335, 1421, 1422), (0.119, 0.298)),
    "F4a": ((2569, 4322, 3634), (0.334, 0.287)),
    "F4b": ((2576, 3636, 3635), (0.119, 0.583)),
    "F5a": ((2044, 2035, 2038), (0.242, 0.017)),
    "F5b": ((2048, 1419, 1418), (0.042, 0.307)),
    "F6a": ((4231, 4240, 4234), (0.017, 0.242)),
    "F6b": ((4244, 3632, 3633), (0.042, 0.651)),
    "F7a": ((2027, 2028, 2008), (0.185, 0.261)),
    "F7b": ((1254, 1255, 2062), (0.004, 0.115)),
    "F8a": ((4224, 4208, 4225), (0.185, 0.554)),
    "F8b": ((3472, 4256, 3473), (0.004, 0.881)),
    "F9a": ((24, 20, 25), (0.301, 0.057)),
    "F9b": ((1164, 2171, 2172), (0.05, 0.72)),
    "F10a": ((2265, 2266, 2261), (0.301, 0.642)),
    "F10b": ((3383, 4365, 4364), (0.05, 0.23)),
    "F11a": ((193, 192, 200), (0.308, 0.224)),
    "F11b": ((178, 207, 186), (0.357, 0.277)),
    "F12a": ((2434, 2441, 2433), (0.308, 0.468)),
    "F12b": ((2419, 2427, 2448), (0.357, 0.366)),
    "F13a": ((805, 809, 808), (0.535, 0.109)),
    "F13b": ((392, 395, 394), (0.553, 0.283)),
    "F14a": ((3046, 3049, 3050), (0.535, 0.356)),
    "F14b": ((2633, 2635, 2636), (0.553, 0.164)),
    "F15a": ((417, 882, 452), (0.946, 0.011)),
    "F15b": ((1452, 1502, 1436), (0.321, 0.061)),
    "F16a": ((2658, 2693, 3123), (0.946, 0.042)),
    "F16b": ((3666, 3650, 3716), (0.321, 0.618)),
    "F17a": ((1129, 1159, 1160), (0.159, 0.446)),
    "F17b": ((1150, 1151, 1156), (0.568, 0.04)),
    "F18a": ((3349, 3379, 3378), (0.159, 0.395)),
    "F18b": ((3369, 3375, 3370), (0.568, 0.393)),
    "F19a": ((941, 940, 2210), (0.266, 0.629)),
    "F19b": ((420, 942, 1662), (0.49, 0.107)),
    "F20a": ((3181, 4401, 3180), (0.266, 0.105)),
    "F20b": ((2661, 3869, 3182), (0.49, 0.404)),
    "F21a": ((758, 1719, 747), (0.444, 0.397)),
    "F21b": ((1458, 748, 1669), (0.468, 0.096)),
    "F22a": ((2999, 2988, 3924), (0.444, 0.159)),
    "F22b": ((3672, 3876, 2989), (0.468, 0.437)),
    "K1": ((2021, 2022, 311), (0.608, 0.068)),
    "K2": ((4218, 2552, 4219), (0.608, 0.323)),
    "K3": ((1913, 1912, 1695), (0.368, 0.513)),
    "K4": ((4113, 3900, 4112), (0.368, 0.119)),
    "K5": ((2163, 1105, 1108), (0.942, 0.01)),
    "K6": ((4356, 3328, 3325), (0.942, 0.048)),
    "K7": ((2173, 1167, 1166), (0.187, 0.349)),
    "K8": ((4366, 3385, 3386), (0.187, 0.464)),
    "K9": ((774, 499, 793), (0.643, 0.024)),
    "K10": ((3015, 3034, 2740), (0.643, 0.333)),
    "K13": ((430, 257, 267), (0.643, 0.356)),
    "K14": ((2671, 2508, 2498), (0.643, 0.001)),
    "K15": ((1206, 210, 1210), (0.079, 0.824)),
    "K16": ((3424, 3428, 2451), (0.079, 0.098)),
    "K17": ((1718, 229, 1457), (0.733, 0.019)),
    "K18": ((3923, 3671, 2470), (0.733, 0.248)),
    "K19": ((1398, 4247, 2052), (0.684, 0.0)),
    "K20": ((1644, 3, 2371), (0.699, 0.301)),
    "K24": ((3602, 978, 971), (0.0, 0.422)),
}  # fmt: skip


def electrodes_of(montages: Sequence[Montage]) -> tuple[str, ...]:
    """The electrodes that the channels of some montages need, each once, a monopolar scheme's reference included.

    FRIDLUND gives 44 names, KURAMOTO 19.  Raises BadInput when a channel's place on the face is not known.
    """
    found: dict[str, None] = {}
    for montage in montages:
        channels = [*montage.channels, *([montage.reference] if montage.reference is not None else [])]
        for channel in channels:
            names = [name for name in (channel.label, f"{channel.label}a", f"{channel.label}b") if name in _SITES]
            if not names:
                raise BadInput(
                    f"nobody knows where {channel.label} of the montage {montage.name!r} lies on a face: electrodes "
                    "can be drawn for channels of fridlund and kuramoto"
                )
            found.update(dict.fromkeys(names))
    if not found:
        raise BadInput("no montage was given, so there are no electrodes to draw: give fridlund, kuramoto or both")
    return tuple(found)


def sites(surface: SkinSurface, names: Sequence[str]) -> Places:
    """Where electrodes lie when they are put on perfectly.  Raises BadInput for an unknown name or part of a model."""
    unknown = [name for name in names if name not in _SITES]
    if unknown:
        raise BadInput(f"there is no electrode {unknown[0]!r}: the names are F1a, F1b to F22a, F22b and K1 to K24")
    corners = np.array([_SITES[name][0] for name in names])
    rows = surface.model.rows_of(corners.ravel().tolist()).reshape(corners.shape)
    two = np.array([_SITES[name][1] for name in names])
    return surface.places(rows, np.column_stack([two, 1 - two.sum(1)]))


def partner(name: str) -> str | None:
    """The other electrode of a bipolar pair; None for a monopolar one."""
    return name[:-1] + ("b" if name.endswith("a") else "a") if name[-1] in "ab" else None
