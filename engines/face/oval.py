"""Where in the crop the face is, so that an edit leaves hair and background alone."""

import cv2
import numpy as np
import numpy.typing as npt

from engines.errors import BadInput

# MediaPipe's face oval, clockwise on screen from the top of the forehead.
FACE_OVAL = np.array([10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
                      148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109])  # fmt: skip
_SOFT = 1 / 12  # width of the fade as a share of the crop's side; half of it lies outside the oval


def oval_weights(
    landmarks_px: npt.NDArray[np.floating], crop_from_frame: npt.NDArray[np.floating], out: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """Fill the face's oval softly, as weights for `Paste`.

    landmarks_px: (478, 2) as (x, y) in frame pixels, MediaPipe's order.  crop_from_frame: (2, 3).  out: (size, size)
    uint8, C-contiguous, filled in place and returned: 255 in the face, 0 beyond its fade.
    Raises BadInput when a shape does not fit or a landmark is not finite.
    """
    if landmarks_px.shape != (478, 2) or crop_from_frame.shape != (2, 3):
        found = f"{landmarks_px.shape} and {crop_from_frame.shape}"
        raise BadInput(f"the oval needs (478, 2) landmarks and a (2, 3) matrix, found {found}")
    if out.dtype != np.uint8 or out.ndim != 2 or not out.flags.c_contiguous:
        raise BadInput(f"the weights' buffer must be contiguous uint8 (size, size), found {out.dtype} {out.shape}")
    oval_px = landmarks_px[FACE_OVAL] @ crop_from_frame[:, :2].T + crop_from_frame[:, 2]
    if not np.abs(oval_px).max() < 2**15:  # OpenCV's fixed-point drawing; also catches NaN
        raise BadInput("a landmark is not finite or far outside of the crop: leave lost faces out")
    out[:] = 0
    cv2.fillPoly(out, [np.rint(oval_px).astype(np.int32)], (255,))
    fade = max(3, round(out.shape[0] * _SOFT)) | 1
    for _ in range(2):  # two boxes make a tent
        cv2.blur(out, (fade // 2 | 1, fade // 2 | 1), dst=out, borderType=cv2.BORDER_REPLICATE)
    return out
