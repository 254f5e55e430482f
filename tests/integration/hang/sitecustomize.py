"""On the path of a session's processes: SIGUSR1 makes a work loop hang, with its other threads alive."""

import signal
import threading
import time

if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGUSR1, lambda *_: time.sleep(600))
