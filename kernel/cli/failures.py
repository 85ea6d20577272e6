"""How errors look on the command line, and which exit code they give."""

from __future__ import annotations

import re
import shlex
import signal
import sys
import traceback
from itertools import islice
from typing import TYPE_CHECKING

from kernel.cli.frames import Frame, chain, first_own, frames_of_text, own_frames
from kernel.cli.lines import escaped, one_line, width
from kernel.datasets.credentials import hide
from kernel.errors import (
    HookError,
    Interrupted,
    KernelError,
    NodeError,
    SchedulingError,
    WorkerLost,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["exit_code", "resume_command", "tell"]

FAILED, USAGE, LOST, SIGNALLED = 1, 2, 3, 128
#: Errors are told in this many lines and one more that says how to resume.
_MOST_LINES = 19
_MOST_MESSAGE, _MOST_CALLERS, _MOST_CAUSES, _MOST_OTHERS = 6, 2, 2, 4
_LED_TO = "which led to:"
_LAST_LINE = re.compile(r"^(?=\S)(?!Traceback |\(|which led to:).+", re.MULTILINE)


def exit_code(error: BaseException, *, running: bool) -> int:
    """Choose the exit code; `running` says that the run had been started."""
    if isinstance(error, Interrupted):
        return SIGNALLED + error.signal
    if isinstance(error, KeyboardInterrupt):
        return SIGNALLED + signal.SIGINT
    if isinstance(error, WorkerLost):
        return LOST
    if isinstance(error, (NodeError, SchedulingError)) or (running and isinstance(error, HookError)):
        return FAILED
    return USAGE if isinstance(error, KernelError) else FAILED


def tell(error: BaseException, command: Sequence[str], *, full: bool = False, secrets: Sequence[str] = ()) -> None:
    """Write an error to stderr, its traceback at most once and without secrets.

    `command` is what the user typed, in words; what to type next is made of it.
    """
    lines = [hide(line, secrets) for line in _lines(error, full=full)]
    if not full and len(lines) > _MOST_LINES:
        left_out = len(lines) - _MOST_LINES + 1
        lines = [*lines[: _MOST_LINES - 1], f" ... {left_out} more lines; --full-traceback shows all"]
    if isinstance(error, (NodeError, Interrupted)):
        lines.append(f" resume:  {resume_command(command, error.resume, error.catalog_options)}")
    print("\n".join(lines), file=sys.stderr, flush=True)


def _lines(error: BaseException, *, full: bool) -> Iterator[str]:
    if isinstance(error, WorkerLost):
        who = f"  ({_worker(error.worker)}pid {error.pid})" if error.pid else ""
        yield f" LOST  {escaped(error.node)}{who}"
        yield from _indented(str(error), full=full)
    elif isinstance(error, NodeError):
        yield from _traceback(error) if full else _node(error)
    elif isinstance(error, (Interrupted, KeyboardInterrupt)):
        number = error.signal if isinstance(error, Interrupted) else signal.SIGINT
        yield f" INTERRUPTED by {signal.Signals(number).name}"
    elif isinstance(error, KernelError):
        yield from _problem(error, full=full)
    else:
        yield " ERROR  this should not happen; please report it with what follows"
        yield escaped("".join(traceback.format_exception(error)).rstrip(), keep="\n")
    if isinstance(error, NodeError):
        yield from _others(error)
        yield from _skipped(error)


def _worker(number: int | None) -> str:
    return f"worker {number}, " if number is not None else ""


def _node(error: NodeError) -> Iterator[str]:
    """Tell a node's failure: where in the user's code, what, and what it came from."""
    *causes, last = error.traceback.split(_LED_TO)
    every = frames_of_text(last)
    frames = own_frames(every)
    yield from _head(error, frames[0] if frames else None)
    for caller in frames[1 : 1 + _MOST_CALLERS]:
        yield f"   called from {escaped(caller.place)}  {one_line(caller.source, width() // 2)}"
    if frames and not every[-1].is_own:
        yield f"   raised in {escaped(every[-1].short)} (--full-traceback shows the way there)"
    kind = error.error_type.removeprefix("kernel.errors.")
    yield from _indented(f"{kind}: {error.error_text}" if error.error_text else kind, indent=" ", full=False)
    for cause in causes[: -_MOST_CAUSES - 1 : -1]:
        told = [line for line in _LAST_LINE.findall(cause) if line.strip()]
        own = own_frames(frames_of_text(cause))
        place = f"  at {escaped(own[0].place)}" if own else ""
        yield f" caused by {one_line(told[0] if told else '(unknown)', width() - len(place) - 11)}{place}"
    if error.inputs:
        shapes = ", ".join(f"{name} {shape}" for name, shape in error.inputs.items())
        yield f" inputs:  {one_line(shapes, width() - 10)}"


def _head(error: NodeError, frame: Frame | None) -> Iterator[str]:
    worker = f"  (worker {error.worker})" if error.worker is not None else ""
    place = f"   {escaped(frame.place)}" if frame is not None else ""
    yield f" FAILED  {escaped(error.node)}{worker}{place}"
    if frame is not None and frame.source:
        yield f"   {one_line(frame.source, width() - 3)}"


def _traceback(error: NodeError) -> Iterator[str]:
    yield from _head(error, None)
    yield from escaped(error.traceback.rstrip() or str(error), keep="\n").splitlines()


def _indented(text: str, *, indent: str = "   ", full: bool) -> Iterator[str]:
    """Tell a message; its lines after the first are marked, so that they cannot pose as something else."""
    first, *rest = text.strip().splitlines() or [""]
    yield f"{indent}{one_line(first, 4 * width())}"
    for line in rest if full else rest[: _MOST_MESSAGE - 1]:
        yield f"{indent}| {one_line(line, width() - 5)}"
    if not full and len(rest) >= _MOST_MESSAGE:
        yield f"{indent}| ... {len(rest) - _MOST_MESSAGE + 1} more lines"


def _problem(error: KernelError, *, full: bool) -> Iterator[str]:
    """Tell what is wrong before a run, and where in the user's code it came from."""
    first, *rest = escaped(str(error), keep="\n").splitlines() or [""]
    yield f" ERROR  {first}"
    yield from (f" {line}" for line in rest)
    if full:
        yield escaped("".join(traceback.format_exception(error)).rstrip(), keep="\n")
        return
    frame = first_own(chain(error))
    if frame is not None:
        yield f"   at {escaped(frame.place)}"
        if frame.source:
            yield f"     {one_line(frame.source, width() - 5)}"


def _skipped(error: NodeError) -> Iterator[str]:
    """Tell for each failed node which others were skipped for want of it."""
    waited: dict[str, list[str]] = {}
    for name, cause in error.skipped.items():
        waited.setdefault(cause, []).append(name)
    for cause, names in islice(waited.items(), _MOST_OTHERS):
        yield f" skipped  {one_line(', '.join(names), width() // 2)}  for want of {escaped(cause)}"


def _others(error: NodeError) -> Iterator[str]:
    for other in error.others[:_MOST_OTHERS]:
        frames = own_frames(frames_of_text(other.traceback.rpartition(_LED_TO)[2]))
        place = f"   {frames[0].place}" if frames else ""
        yield f" also FAILED  {one_line(f'{other.node}{place}  {_what(other)}', 4 * width())}"
    if len(error.others) > _MOST_OTHERS:
        yield f" and {len(error.others) - _MOST_OTHERS} more nodes failed"


def _what(error: NodeError) -> str:
    kind = error.error_type.removeprefix("kernel.errors.")
    return f"{kind}: {error.error_text}".splitlines()[0] if error.error_text else kind


def resume_command(command: Sequence[str], nodes: Sequence[str], options: Mapping[str, str] | None = None) -> str:
    """Rebuild the user's command so that it starts from these nodes (none: from the beginning).

    With `options` of the catalog it goes on by itself, and has to be the same otherwise.
    """
    if options:
        setting = ",".join(f"{name}={value}" for name, value in options.items())
        if not any(setting in word for word in command):
            at = _end_of_options(command)
            command = [*command[:at], "--catalog-option", setting, *command[at:]]
        return shlex.join(command)
    if not nodes:
        return "No node was done. Repeat the command."
    words: list[str] = []
    skip = False
    for word in command:
        if not skip and word != "--from-nodes" and not word.startswith("--from-nodes="):
            words.append(word)
        skip = not skip and word == "--from-nodes"
    names = ",".join(nodes)
    quoted = shlex.quote(names)
    option = "--from-nodes " + (f'"{names}"' if quoted == names else quoted)
    at = _end_of_options(words)
    return " ".join(part for part in (shlex.join(words[:at]), option, shlex.join(words[at:])) if part)


def _end_of_options(words: Sequence[str]) -> int:
    return words.index("--") if "--" in words else len(words)
