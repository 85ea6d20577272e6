#!/usr/bin/env bash
# pandas 3.1.1, numpy 2.4.6: with copy on write, a shallow copy shares memory until one side is written to. `values` and
# `to_numpy()` give arrays that cannot be written, but an item set through `.array`, which is public, changes both.
# Seen: [9.0, 2.0] in the original after `copy.array[0] = 9.0`; ValueError through `values`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet pandas==3.1.1 numpy==2.4.6
"$folder/env/bin/python" - <<'PYTHON'
import pandas as pd

original = pd.Series([1.0, 2.0])
copy = original.copy(deep=False)
try:
    copy.values[0] = 9.0
except ValueError as error:
    print("through values:", error)
else:
    raise SystemExit("an array that `values` gives can be written now")
copy.array[0] = 9.0
print("through array, the original has:", original.tolist())
if original.tolist() != [9.0, 2.0]:
    raise SystemExit("copy on write holds for `array` now")
PYTHON
