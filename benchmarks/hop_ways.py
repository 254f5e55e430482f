"""The ways from one process to another that need no framework: our ring and link alone, ZeroMQ, multiprocessing.

Each way is a producer and a consumer, functions of a Job that run in processes of their own. Pickle appears here only
as what it is compared with; nothing in the pipeline uses it.
"""

import multiprocessing
import pickle
import struct
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from benchmarks.hop_meter import SLOTS, Job, Meter, paced, private_pictures, say_ready, wait_ready
from rt import clock, worker
from rt.board import Board
from rt.link import LatestReceiver, LatestSender, address
from rt.message import Frame, Hop
from rt.ring import RingReader, RingWriter, create_ring

_EDGE = "camera.frame->display.frame"
_RING = "camera.frame"
_HEADER = struct.Struct("<Qd")  # number, t_ready
_END_MS = 5000


# ---------------------------------------------------------------- ours: ring + `latest` link, without the work loop


def prepare_ours(job: Job) -> None:
    """What the session does before it starts anybody: the board and the ring."""
    folder = Path(job.folder)
    Board(folder / "board", ["camera", "display"], [_EDGE], create=True)
    create_ring(folder / f"{_RING}.ring", SLOTS, int(np.prod(job.shape)))


def _board_row(job: Job) -> np.ndarray:
    return Board(Path(job.folder) / "board", ["camera", "display"], [_EDGE]).edge(_EDGE)


def send_in_place(job: Job) -> None:
    """The picture is made in the ring: nothing is copied at all."""
    _send_ours(job, copy=False)


def send_one_copy(job: Job) -> None:
    """The picture is made in private memory and copied into the ring once."""
    _send_ours(job, copy=True)


def _send_ours(job: Job, copy: bool) -> None:
    writer = RingWriter(Path(job.folder) / f"{_RING}.ring")
    context = zmq.Context()
    sender = LatestSender(context, address(Path(job.folder), _EDGE), _board_row(job))
    pictures, meter = private_pictures(job), Meter(job, "producer")
    wait_ready(job)
    for number in paced(job, meter):
        image = next(pictures) if copy else writer.buffer(job.shape)
        t_ready = meter.fill(number, image)
        if copy:
            np.copyto(writer.buffer(job.shape), image)
        hop = Hop("camera", t_ready, clock.now())
        sender.send(Frame(number, t_ready, "host", image, trace=(hop,), slot=writer.publish()))
    meter.write()
    sender.close()
    context.term()


def receive_ours(job: Job) -> None:
    """As the work loop receives: wait, drain to the newest, use the view, check that it is intact."""
    ring = RingReader(Path(job.folder) / f"{_RING}.ring")
    context = zmq.Context()
    where, row = address(Path(job.folder), _EDGE), _board_row(job)
    receiver = LatestReceiver(context, where, row, lambda slot, shape: ring.view(slot, shape))
    poller = zmq.Poller()
    poller.register(receiver.socket, zmq.POLLIN)
    meter, done, t_limit = Meter(job, "consumer"), False, _limit(job)
    say_ready(job)
    while not done and clock.now() < t_limit:
        poller.poll(worker._IDLE_MS)  # as long as the work loop waits, and as often does it wake in vain
        for _, frame in receiver.receive():
            assert isinstance(frame, Frame)
            done = meter.take(frame.seq, frame.t_capture, frame.image)
            if frame.slot is None or not ring.intact(frame.slot):
                raise RuntimeError("a picture was overwritten within one period: more slots are needed")
    meter.write()
    receiver.close()
    context.term()


def _limit(job: Job) -> float:
    return clock.now() + job.frames / job.fps + 2 * _END_MS / 1e3


# ---------------------------------------------------------------- ZeroMQ


def _zmq_socket(job: Job, kind: int) -> tuple[zmq.Context[Any], zmq.Socket[bytes]]:
    context = zmq.Context()
    socket: zmq.Socket[bytes] = context.socket(kind)
    where = f"ipc://{job.folder}/plain"
    socket.bind(where) if kind == zmq.PUSH else socket.connect(where)
    socket.linger = 500
    socket.rcvtimeo = _END_MS * 2
    return context, socket


def send_zmq(job: Job) -> None:
    """Header and raw buffer, without a copy on our side of the socket."""
    context, socket = _zmq_socket(job, zmq.PUSH)
    pictures, meter = private_pictures(job), Meter(job, "producer")
    wait_ready(job)
    for number in paced(job, meter):
        image = next(pictures)
        t_ready = meter.fill(number, image)
        socket.send_multipart([_HEADER.pack(number, t_ready), image.data], copy=False)
    meter.write()
    context.destroy()


def receive_zmq(job: Job) -> None:
    """The array is a view of the message."""
    context, socket = _zmq_socket(job, zmq.PULL)
    meter, done = Meter(job, "consumer"), False
    say_ready(job)
    while not done:
        header, body = socket.recv_multipart(copy=False)
        image = np.frombuffer(body.buffer, np.uint8).reshape(job.shape)
        number, t_ready = _HEADER.unpack(header.buffer)
        done = meter.take(number, t_ready, image)
    meter.write()
    context.destroy()


def send_pickle(job: Job) -> None:
    """What most scripts do: `send_pyobj`."""
    context, socket = _zmq_socket(job, zmq.PUSH)
    pictures, meter = private_pictures(job), Meter(job, "producer")
    wait_ready(job)
    for number in paced(job, meter):
        image = next(pictures)
        t_ready = meter.fill(number, image)
        socket.send(pickle.dumps((number, t_ready, image), pickle.HIGHEST_PROTOCOL))
    meter.write()
    context.destroy()


def receive_pickle(job: Job) -> None:
    """`recv_pyobj`."""
    context, socket = _zmq_socket(job, zmq.PULL)
    meter, done = Meter(job, "consumer"), False
    say_ready(job)
    while not done:
        done = meter.take(*pickle.loads(socket.recv()))
    meter.write()
    context.destroy()


# ---------------------------------------------------------------- multiprocessing.Queue


def send_queue(job: Job, queue: "Queue[Any]") -> None:
    """Put the array; the queue's own thread pickles it into a pipe."""
    pictures, meter = private_pictures(job), Meter(job, "producer")
    wait_ready(job)
    for number in paced(job, meter):
        image = next(pictures)
        t_ready = meter.fill(number, image)
        queue.put((number, t_ready, image))
    meter.write()


def receive_queue(job: Job, queue: "Queue[Any]") -> None:
    """Get the array."""
    meter, done = Meter(job, "consumer"), False
    say_ready(job)
    while not done:
        done = meter.take(*queue.get(timeout=_END_MS * 2 / 1e3))
    meter.write()


# ---------------------------------------------------------------- running a pair


_PAIRS: dict[str, tuple[Any, Any]] = {
    "ring and link, in place": (send_in_place, receive_ours),
    "ring and link, one copy in": (send_one_copy, receive_ours),
    "ZeroMQ ipc, copy=False": (send_zmq, receive_zmq),
    "ZeroMQ ipc, pickle": (send_pickle, receive_pickle),
    "multiprocessing.Queue": (send_queue, receive_queue),
}


def run_pair(way: str, job: Job) -> None:
    """Run producer and consumer of a way in two fresh processes. Raises RuntimeError when one fails."""
    fresh = multiprocessing.get_context("spawn")
    produce, consume = _PAIRS[way]
    extra = (fresh.Queue(),) if produce is send_queue else ()
    if consume is receive_ours:
        prepare_ours(job)
    pair = [fresh.Process(target=role, args=(job, *extra)) for role in (consume, produce)]
    for process in pair:
        process.start()
    for process in pair:
        process.join(_END_MS * 4 / 1e3 + job.frames / job.fps)
        if process.exitcode != 0:
            for other in pair:
                other.kill()
            raise RuntimeError(f"{way}: a process ended with {process.exitcode}, see what it printed")
