"""Puts a picture and the newest muscle values together into one packet.

Bars follow the newest values, which are a little newer than the picture: the muscle's way to the screen is
shorter than the light's, and the page shows both ages.
"""

import math
from dataclasses import replace

import cv2
import numpy as np

from rt.message import Estimate, Expression, Frame, Muscles
from rt.web.protocol import LANDMARKS, SHAPES, Flags, Packet

_REMOVAL = {"restored": Flags.RESTORED, "edit": Flags.EDIT}
_CLOCK_SET_BACK_S = 1.0  # values that far behind the newest are not late: the sender's clock was set back


class Composer:
    """Makes packets; numbers them; knows what is too old to be live.

    channels, pairs: sizes of the muscle arrays.  frame_limit_ms, emg_limit_ms: older than that is not live.  removes:
    whether electrodes are removed here, so that a picture in which nothing was done about them is not what was wanted.
    """

    def __init__(
        self,
        channels: int,
        pairs: int,
        frame_limit_ms: float,
        emg_limit_ms: float,
        quality: int = 85,
        removes: bool = False,
    ) -> None:
        self._removes = removes
        self._frame_limit_s = frame_limit_ms / 1e3
        self._emg_limit_s = emg_limit_ms / 1e3
        self._jpeg = [cv2.IMWRITE_JPEG_QUALITY, quality]
        self._t_frame = math.nan
        self._face_flags = Flags(0)
        none = np.full(channels, np.nan, np.float32)
        self._newest = Packet(
            0, Flags(0), 0, math.nan, math.nan, np.zeros(channels, np.float32), none,
            np.full(pairs, np.nan, np.float32), np.zeros(channels, np.uint8),
        )  # fmt: skip
        self.flags = Flags(0)  # what holds for every packet: recording, synthetic

    def take_muscles(self, muscles: Muscles) -> None:
        """Keep a copy of these values, unless newer ones are known (a frame carries those of its own moment)."""
        behind_s = self._newest.t_emg - muscles.t
        if 0.0 <= behind_s < _CLOCK_SET_BACK_S:
            return
        self._newest = replace(
            self._newest,
            t_emg=muscles.t,
            envelope_uv=muscles.envelope_uv.copy(),
            percent_mvc=muscles.percent_mvc.copy(),
            asymmetry=muscles.asymmetry.copy(),
            contact=muscles.contact.copy(),
        )

    def take_expression(self, expression: Expression) -> None:
        """Keep a copy of what a face does; one in another profile than the page's 52 shapes is not for the page."""
        if expression.values.shape != (SHAPES,):
            return
        values = expression.values.copy()
        if expression.source == "emg":
            self._newest = replace(self._newest, expression_emg=values, t_expression_emg=expression.t)
        else:
            self._newest = replace(self._newest, expression=values, t_expression=expression.t)

    def take_estimate(self, estimate: Estimate) -> None:
        """Keep a copy of what the muscles are guessed to do."""
        self._newest = replace(
            self._newest,
            estimate_percent=estimate.percent.copy(),
            estimate_spread=estimate.spread.copy(),
            t_expression=estimate.t,
        )

    def is_late(self, frame: Frame, now: float) -> bool:
        """Whether a picture is older than its limit, so that it must not be shown as live."""
        return now - frame.t_capture > self._frame_limit_s

    def is_unwanted(self, frame: Frame) -> bool:
        """Whether electrodes were to be removed from this picture and are not, without anybody having asked for it.

        Remembered for the packets that go out without a picture.
        """
        unwanted = self._removes and not frame.removal
        self._face_flags = _face_flags(frame) | (Flags.NO_FACE if unwanted else Flags(0))
        return unwanted

    def frame_is_missing(self, now: float) -> bool:
        """Whether no picture that is still live has been composed."""
        return not now - self._t_frame <= self._frame_limit_s

    def encode(self, frame: Frame) -> memoryview:
        """The picture as JPEG. Ask `Context.intact` afterwards: only then is it known that nobody wrote into it."""
        return cv2.imencode(".jpg", frame.image, self._jpeg)[1].data

    def with_picture(self, frame: Frame, jpeg: memoryview, now: float) -> Packet:
        """A packet with this picture, where the face is in it, and the values of its moment, unless newer are known.

        Marked as the camera's own where electrodes were to be removed from it and are not.
        """
        self._t_frame = frame.t_capture
        self._face_flags = _face_flags(frame)
        if frame.muscles is not None:
            self.take_muscles(frame.muscles)
        shown = (Flags.PRACTISE if frame.practise else Flags(0)) | _REMOVAL.get(frame.removal, Flags(0))
        shown |= Flags.RAW if self._removes and not frame.removal else Flags(0)
        packet = self._next(now, Flags.FRAME | shown, frame.seq, frame.t_capture, jpeg)
        return packet if frame.face is None else replace(packet, landmarks_px=frame.face.landmarks_px[:LANDMARKS])

    def with_raw_picture(self, frame: Frame, jpeg: memoryview, now: float) -> Packet:
        """A packet with the camera's own picture, marked as standing in for the processed one."""
        return self._next(now, Flags.FRAME | Flags.RAW, frame.seq, frame.t_capture, jpeg)

    def with_values(self, now: float) -> Packet:
        """A packet without a picture."""
        stale = Flags.STALE_FRAME if self.frame_is_missing(now) else Flags(0)
        return self._next(now, stale, 0, math.nan, b"")

    def _next(self, now: float, flags: Flags, seq: int, t_capture: float, jpeg: bytes | memoryview) -> Packet:
        flags |= self.flags | self._face_flags
        if not math.isnan(self._newest.t_emg):
            late = now - self._newest.t_emg > self._emg_limit_s
            flags |= Flags.EMG | (Flags.STALE_EMG if late else Flags(0))
        number = (self._newest.packet_id + 1) & 0xFFFFFFFF
        self._newest = replace(self._newest, packet_id=number)
        return replace(self._newest, flags=flags, frame_seq=seq, t_capture=t_capture, jpeg=jpeg)


def _face_flags(frame: Frame) -> Flags:
    return Flags.FIXED_CROP if frame.crop is not None and not frame.crop.tracked else Flags(0)
