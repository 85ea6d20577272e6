"""Node functions that tell of their worker, or leave something behind in it; and a driver to be killed."""

from __future__ import annotations

import concurrent.futures
import ctypes
import decimal
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from kernel import Runner, hookimpl, node, pipeline
from watching import LIMIT, is_alive, wait_until


def marked(text):
    """List the live processes with this text in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if text.encode() in (folder / "environ").read_bytes() and is_alive(folder.name):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


# -- of the worker ----------------------------------------------------------------------------------------------------


def process(*_):
    return os.getpid()


def environment(*_):
    return dict(os.environ)


def folder(*_):
    return str(Path.cwd())


def draw(*_):
    numpy = sys.modules.get("numpy")
    return random.random(), float(numpy.random.random()) if numpy else None


def meet(folder, *_):
    """Return this process's id once two workers have come here."""
    (Path(folder) / str(os.getpid())).touch()
    wait_until(lambda: len(list(Path(folder).iterdir())) >= 2, "another worker")
    return os.getpid()


def grow(size, *_):
    """Keep so many bytes for ever."""
    kept.append(b"x" * size)
    return os.getpid()


kept = []


def spoil(*_):
    """Change what all nodes of a process share."""
    os.environ["SPOILT"] = "yes"
    os.chdir("/")
    decimal.getcontext().prec = 3
    kept.append("spoilt")
    return os.getpid()


def look(*_):
    return {
        "pid": os.getpid(),
        "variable": os.environ.get("SPOILT"),
        "folder": str(Path.cwd()),
        "precision": decimal.getcontext().prec,
        "kept": len(kept),
    }


# -- what does not come back ------------------------------------------------------------------------------------------


def hold_the_interpreter(path, *_):
    """Wait for a file, in C code that never lets other Python code run."""
    until = time.monotonic() + LIMIT
    while not os.path.exists(path) and time.monotonic() < until:  # noqa: PTH110 - a path object would let others run
        ctypes.PyDLL(None).usleep(50_000)
    return 1


def wait_for(path, *_):
    wait_until(Path(path).exists, path)
    return 1


def sleep(seconds, *_):
    time.sleep(seconds)
    return 1


def ignore_sigterm_and_sleep(seconds, *_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(seconds)
    return 1


def stop_itself(path, *_):
    """Stop this process; a child lets it go on once the file is there."""
    code = f"""if 1:
        import os, signal, time
        while not os.path.exists({str(path)!r}):
            time.sleep(0.02)
        os.kill({os.getpid()}, signal.SIGCONT)"""
    with subprocess.Popen([sys.executable, "-S", "-c", code]):
        os.kill(os.getpid(), signal.SIGSTOP)
    return 1


# -- what is left behind ----------------------------------------------------------------------------------------------

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


def leave_a_thread(*_):
    threading.Thread(target=time.sleep, args=(600,)).start()
    return os.getpid()


def leave_a_child(*_, **options):
    child = subprocess.Popen(SLEEPER, **options)
    kept.append(child)
    return child.pid


def leave_a_child_in_its_own_session(*_):
    return leave_a_child(start_new_session=True)


def leave_a_daemon(*_):
    """Fork twice, with a session of its own between, as daemons do; return the pid of the last."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(write, str(os.getpid()).encode())
            time.sleep(600)
        os._exit(0)
    os.waitpid(child, 0)
    pid = int(os.read(read, 100))
    os.close(read)
    os.close(write)
    return pid


LEAVE = {
    each.__name__: each for each in (leave_a_thread, leave_a_child, leave_a_child_in_its_own_session, leave_a_daemon)
}


def leave_and_die(what, folder, *_):
    """Leave a process behind and die, once; then tell its pid."""
    note = Path(folder) / what
    if not note.exists():
        note.write_text(str(LEAVE[what]()))
        os.kill(os.getpid(), signal.SIGKILL)
    return int(note.read_text())


def kill_the_server_once(folder, *_):
    note = Path(folder) / "killed"
    if not note.exists():
        note.write_text(str(LEAVE["leave_a_child_in_its_own_session"]()))
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)
    return int(note.read_text())


def kill_the_server(*_):
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)


# -- what a node may do -----------------------------------------------------------------------------------------------


def square(number):
    return number * number


def use_threads(*_):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return sum(pool.map(square, range(10)))


def use_fork(*_):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, b"285")
        os._exit(0)
    os.waitpid(child, 0)
    return int(os.read(read, 10))


def use_a_pool(*_):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return sum(pool.map(square, range(10)))


def use_an_executor(*_):
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        return sum(pool.map(square, range(10)))


def use_a_runner(*_):
    steps = pipeline([node(square, "x", "y"), node(square, "y", "z")])
    with Runner("process_pool", workers=2) as runner:
        return runner.run(steps, {"x": 4})["z"] + 29


# -- a driver ---------------------------------------------------------------------------------------------------------


def beat(folder, name, what, *_):
    """Leave a process behind, tell both pids, and write a heartbeat until the end."""
    left = LEAVE[what]()
    note = Path(folder) / f"{name}.new"
    note.write_text(f"{os.getpid()} {left}")
    note.rename(Path(folder) / str(name))
    while True:
        (Path(folder) / f"{name}.beat").write_text(str(time.monotonic_ns()))
        time.sleep(0.01)


class ForksAnother:
    """Forks the driver, as another pool would, when the first node is done; that holds copies of all it has open."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return ForksAnother, (self.folder,)

    @hookimpl
    def on_task_done(self):
        child = os.fork()
        if child == 0:
            time.sleep(600)
        (Path(self.folder) / "other").write_text(str(child))


def drive(folder, method):
    """Run two nodes that never end; fork another process meanwhile."""
    steps = pipeline(
        [
            node(beat, ["folder", "one", "leave_a_child"], "one_ended", name="one"),
            node(square, "number", "two", name="first"),
            node(beat, ["folder", "two", "leave_a_daemon"], "two_ended", name="two"),
        ]
    )
    values = {text: text for text in ("one", "leave_a_child", "leave_a_daemon")}
    with Runner("process_pool", workers=2, start_method=method, hooks=[ForksAnother(folder)]) as runner:
        runner.run(steps, {"folder": folder, "number": 2, **values})


if __name__ == "__main__":
    drive(*sys.argv[1:])
