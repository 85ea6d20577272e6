#!/usr/bin/env bash
# polars 2.1.0, numpy 2.4.6: a frame or series made of a one-dimensional numpy array of numbers looks at the array's memory,
# although columns of polars cannot be changed by its own means. Its clones do, too; a pickle does not.
# Seen: [-1.0, -1.0] in the frame and in its clone after the array was written to.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet polars==2.1.0 numpy==2.4.6
"$folder/env/bin/python" - <<'PYTHON'
import pickle

import numpy as np
import polars as pl

array = np.array([1.0, 2.0])
frame = pl.DataFrame({"a": array})
clone, rebuilt = frame.clone(), pickle.loads(pickle.dumps(frame))
array[:] = -1
print("frame:", frame["a"].to_list(), "clone:", clone["a"].to_list(), "by a pickle:", rebuilt["a"].to_list())
if not frame["a"].to_list() == clone["a"].to_list() == [-1.0, -1.0]:
    raise SystemExit("a frame has memory of its own now")
PYTHON
