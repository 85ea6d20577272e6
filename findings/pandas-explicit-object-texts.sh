#!/usr/bin/env bash
# pandas 3.1.1: an array of texts that was made with dtype=object by `pandas.array` becomes a column of pandas' own text
# type in a frame; the same texts in a `Series` with dtype=object, or in a frame that is made with dtype=object, stay
# objects.
# Seen: str, object, object. Until pandas 2.3 (2.3.3 tried) all three are object.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
see() { # see VERSION EXPECTED: install that pandas, print the types of the three columns
    "$folder/env/bin/pip" install --quiet "pandas==$1" "numpy==2.4.6"
    EXPECTED=$2 "$folder/env/bin/python" - <<'PYTHON'
import os

import pandas as pd

texts = ["one", "two"]
frames = (
    pd.DataFrame({"a": pd.array(texts, dtype=object)}),
    pd.DataFrame({"a": pd.Series(texts, dtype=object)}),
    pd.DataFrame({"a": texts}, dtype=object),
)
seen = " ".join(str(frame["a"].dtype) for frame in frames)
print("pandas", pd.__version__, "->", seen)
if seen != os.environ["EXPECTED"]:
    raise SystemExit("a column of explicit objects has another type now")
PYTHON
}
see 3.1.1 "str object object"
see 2.3.3 "object object object"
