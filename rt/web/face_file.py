"""The page's 3D face as a file, made from the face model of this machine by a process of its own.

Making it costs seconds of one core, which the display must not lose; and it is made once per session, only when a page
asks for it.  What comes of it stays in memory: the face model's licence is its owner's affair, so no copy is stored.
"""

import asyncio
import contextlib
import sys

from engines.emg.montage import Montage
from rt import assets
from rt.errors import LiveError, MissingDevice

_PATIENCE_S = 300.0


async def face_file(montage: Montage) -> bytes:
    """What `/face.bin` is: engines/face/face_bin.py's format, with a heat map for this montage's channels.

    Takes seconds; when it is cancelled, its process ends.
    Raises MissingDevice when the face model is not installed, LiveError when making it fails.
    """
    path = assets.find(assets.FACE_MODEL)
    if path is None:
        cure = assets.cure(assets.FACE_MODEL)
        raise MissingDevice(f"There is no 3D face, as {assets.FACE_MODEL} is not installed: {cure}.")
    command = [sys.executable, "-m", "rt.web.face_maker", str(path), montage.name, *montage.labels]
    pipe = asyncio.subprocess.PIPE
    maker = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe)
    try:
        made, said = await asyncio.wait_for(maker.communicate(), _PATIENCE_S)
    except TimeoutError as error:
        raise LiveError(f"The 3D face was not made within {_PATIENCE_S:.0f} s: reload the page.") from error
    finally:
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            maker.kill()
        await maker.wait()
    if maker.returncode != 0:
        why = said.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise LiveError(f"The 3D face could not be made: {why[0] if why else 'its process ended'}")
    return made
