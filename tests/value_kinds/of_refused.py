"""What every executor refuses, and what is said then."""

from __future__ import annotations

import contextvars
import ctypes
import hashlib
import io
import mmap
import queue
import re
import socket
import sqlite3
import sys
import tempfile
import threading
import weakref
from pathlib import Path

import polars as pl
import pyarrow as pa

from value_kinds.kind import Kind


class Thing:
    """Something to be held weakly."""


THING = Thing()


async def later():
    """Is never run."""


def coroutine():
    made = later()
    made.close()
    return made


def opened(mode):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        path.touch()
        with path.open(mode) as file:
            return file


def connection():
    made = sqlite3.connect(":memory:")
    made.close()
    return made


def closed_socket():
    made = socket.socket()
    made.close()
    return made


def deep():
    made = []
    for _ in range(100_000):
        made = [made]
    return made


def frame():
    try:
        raise ValueError
    except ValueError as error:
        return error.__traceback__


def of_objects():
    return pl.DataFrame({"a": [Thing()]}, schema={"a": pl.Object})


def reader():
    table = pa.table({"a": [1]})
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches())


KINDS = [
    Kind("`memoryview`", lambda: memoryview(b"abc"), refused="cannot pickle 'memoryview' object"),
    Kind("`dict_keys`", {"a": 1}.keys, refused="cannot pickle 'dict_keys' object"),
    Kind("`dict_values`", {"a": 1}.values, refused="cannot pickle 'dict_values' object"),
    Kind("`dict_items`", {"a": 1}.items, refused="cannot pickle 'dict_items' object"),
    Kind("`re.Match`", lambda: re.match("a", "a"), refused="cannot pickle 're.Match' object"),
    Kind("generator", lambda: (n for n in ()), refused="cannot pickle 'generator' object"),
    Kind("coroutine", coroutine, refused="cannot pickle 'coroutine' object"),
    Kind("weak reference", lambda: weakref.ref(THING), refused="cannot pickle 'weakref.ReferenceType' object"),
    Kind("`WeakSet`", lambda: weakref.WeakSet([THING]), refused="cannot pickle 'WeakSet' object"),
    Kind(
        "`WeakValueDictionary`",
        lambda: weakref.WeakValueDictionary(a=THING),
        refused="cannot pickle 'weakref.ReferenceType' object",
    ),
    Kind("`Lock`", threading.Lock, refused="cannot pickle '_thread.lock' object"),
    Kind("`Queue`", queue.Queue, refused="cannot pickle '_thread.lock' object"),
    Kind("`SimpleQueue`", queue.SimpleQueue, refused="cannot pickle '_queue.SimpleQueue' object"),
    Kind("`ContextVar`", lambda: contextvars.ContextVar("a"), refused="cannot pickle '_contextvars.ContextVar' object"),
    Kind("file of text", lambda: opened("r"), refused="cannot pickle 'TextIOWrapper' object"),
    # Pythons say the rest in different words.
    Kind("file of bytes", lambda: opened("rb"), refused="BufferedReader"),
    Kind(
        "text over bytes in memory (`TextIOWrapper`)",
        lambda: io.TextIOWrapper(io.BytesIO()),
        refused="cannot pickle 'TextIOWrapper' object",
    ),
    Kind("`mmap`", lambda: mmap.mmap(-1, 10), refused="cannot pickle 'mmap.mmap' object"),
    Kind("`socket`", closed_socket, refused="cannot pickle 'socket' object"),
    Kind("connection to SQLite", connection, refused="cannot pickle 'sqlite3.Connection' object"),
    Kind("`hashlib` object", hashlib.sha256, refused="cannot pickle '_hashlib.HASH' object"),
    Kind(
        "`ctypes` pointer",
        lambda: ctypes.pointer(ctypes.c_int(1)),
        refused="ctypes objects containing pointers cannot be pickled",
    ),
    Kind("frame and traceback", frame, refused="cannot pickle 'traceback' object"),
    Kind("lists in each other, 100,000 deep", deep, refused="it is nested too deeply (RecursionError)"),
    Kind("`sys` streams", lambda: sys.__stdout__, refused="cannot pickle 'TextIOWrapper' object"),
    Kind("Arrow `RecordBatchReader`", reader, refused="TypeError: "),
    Kind("polars `DataFrame` of objects", of_objects, refused="ComputeError: ", needs="polars>=1.20"),
]
