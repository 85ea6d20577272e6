"""Children that are forked and then asked, one question at a time, what they see: by whatever way of forking."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import warnings
from contextlib import suppress


def by_python():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the threads of the test do no harm
        return os.fork()


def by_c():
    """Fork as a library does that knows nothing of Python: no hook is called."""
    return ctypes.CDLL(None).fork()


WAYS = {"os.fork": by_python, "C": by_c}


class Child:
    """A forked child that calls `answer` whenever it is asked; `depth` says how many forks it is away."""

    def __init__(self, answer, fork=by_python, depth=1, first=None):
        ask, self._ask = os.pipe()
        self._answer, answers = os.pipe()
        pids, pid = os.pipe()
        self.child = fork()
        if self.child == 0:
            with suppress(BaseException):  # whatever is wrong shows in the answer that does not come
                os.close(self._ask)
                os.close(self._answer)
                for _ in range(depth - 1):
                    if fork():
                        os._exit(0)
                os.write(pid, b"%d " % os.getpid())
                if first is not None:
                    first({ask, answers})
                while os.read(ask, 1) == b"?":
                    os.write(answers, pickle.dumps(_outcome(answer)))
            os._exit(0)
        for each in (ask, answers, pid):
            os.close(each)
        self.pid = int(os.read(pids, 20))
        os.close(pids)

    def __call__(self):
        os.write(self._ask, b"?")
        good, answer = pickle.loads(os.read(self._answer, 1 << 16))
        if not good:
            raise answer
        return answer

    def end(self, signum=None):
        """Have it end, by itself or by a signal; return when it and all that came before it have."""
        if signum is None:
            os.write(self._ask, b".")  # no end of file: younger children have the other end, too
        else:
            os.kill(self.pid, signum)
        os.close(self._ask)
        while os.read(self._answer, 1 << 16):
            pass
        os.close(self._answer)
        os.waitpid(self.child, 0)


def _outcome(answer):
    try:
        return True, answer()
    except Exception as error:
        return False, error


def close_everything(but):
    """Close all descriptors, as a program does that goes into the background."""
    for fd in range(3, 1024):
        if fd not in but:
            with suppress(OSError):
                os.close(fd)


def killed(child):
    child.end(signal.SIGKILL)


def ended(child):
    child.end()
