"""The two pluggy markers: what is a hook, and what listens to one."""

from __future__ import annotations

import pluggy

#: Marks a function as a hook of the kernel.
hookspec = pluggy.HookspecMarker("kernel")
#: Marks a method or a module's function as a listener of the hook of the same name.
hookimpl = pluggy.HookimplMarker("kernel")
