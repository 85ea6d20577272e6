"""Values on their way from node to node: copied, pickled, told apart from what others hold, compared and described."""

from __future__ import annotations

from kernel.values.comparing import is_equal
from kernel.values.libraries import Library

__all__ = ["Library", "is_equal"]
