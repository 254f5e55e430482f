import subprocess
import sys
import textwrap


def test_every_thread_gives_way_also_those_that_are_there_already():
    code = """
        import os, threading
        from rt.priority import give_way
        stay = threading.Event()
        threads = [threading.Thread(target=stay.wait) for _ in range(3)]
        for thread in threads: thread.start()
        before = os.nice(0)
        give_way()
        later = threading.Thread(target=stay.wait)
        later.start()
        nice = {os.getpriority(os.PRIO_PROCESS, int(tid)) for tid in os.listdir("/proc/self/task")}
        stay.set()
        print(nice == {min(before + 5, 19)}, os.nice(0) - before in (5, 19 - before))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]
