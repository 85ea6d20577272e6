"""Makes `python -m kernel` the command line."""

from __future__ import annotations

import sys

from kernel.cli import main

# A worker process that prepares itself by importing the main module again must not start a second run.
if __name__ == "__main__":
    sys.exit(main())
