#!/usr/bin/env bash
# pyarrow 26.0.1: a slice of an array is pickled with the whole buffers that it looks at, and the buffers of two slices are
# two objects over the same memory, so that each is written. Batches of a table are such slices.
# Seen: 20 batches of a table of 8,000,000 bytes are 160,000,000 bytes out of band.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet pyarrow==26.0.1 numpy==2.4.6
"$folder/env/bin/python" - <<'PYTHON'
import pickle

import numpy as np
import pyarrow as pa

table = pa.table({"a": np.arange(1_000_000.0)})
buffers = []
pickle.dumps(table.to_batches(max_chunksize=50_000), protocol=5, buffer_callback=buffers.append)
size, places = sum(memoryview(each).nbytes for each in buffers), {pa.py_buffer(each).address for each in buffers}
print(len(buffers), "buffers of", f"{size:,}", "bytes in all, at", len(places), "address")
if size != 20 * 8_000_000 or len(places) != 1:
    raise SystemExit("slices are packed, or shared memory is written once, now")
PYTHON
