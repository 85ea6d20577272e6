#!/usr/bin/env bash
# cloudpickle 3.1.3 takes values that pickle refuses, and some of them arrive as something else, without a word.
# Seen: a memoryview arrives as bytes, an open text file as StringIO, a WeakSet of one living object as an empty one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet cloudpickle==3.1.3
"$folder/env/bin/python" - "$folder/text" <<'PYTHON'
import io
import pickle
import sys
import weakref
from pathlib import Path

import cloudpickle


class Thing:
    """Something that can be held weakly."""


def arrives(value):
    return pickle.loads(cloudpickle.dumps(value))


thing = Thing()
Path(sys.argv[1]).write_text("line\n")
with open(sys.argv[1]) as file:
    found = [arrives(memoryview(b"abc")), arrives(file), arrives(weakref.WeakSet([thing]))]
print("a memoryview:", type(found[0]), "an open file:", type(found[1]), "a weak set of one:", list(found[2]))
if found[0] != b"abc" or not isinstance(found[1], io.StringIO) or len(found[2]) != 0:
    raise SystemExit("one of them arrives as it was, or is refused, now")
PYTHON
