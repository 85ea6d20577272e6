"""How a run deals with trouble."""

from __future__ import annotations

from typing import Literal, get_args

from attrs import frozen

from kernel.errors import ConfigError

__all__ = ["OnFailure", "Rules"]

#: What else still runs after a failure: nothing, what was ready by then, or all that does not need the failed node.
OnFailure = Literal["stop", "drain", "continue"]


@frozen
class Rules:
    """`death_retries` is how often a node runs again whose worker died, `grace_s` how many seconds running nodes get
    when the run is asked to stop. Raises ConfigError for values that cannot be.
    """

    on_failure: OnFailure = "stop"
    death_retries: int = 1
    grace_s: float = 5.0

    def __attrs_post_init__(self) -> None:
        policies = get_args(OnFailure)
        if self.on_failure not in policies:
            raise ConfigError(f"on_failure should be one of {', '.join(policies)}, got {self.on_failure!r}")
        if isinstance(self.death_retries, bool) or not isinstance(self.death_retries, int) or self.death_retries < 0:
            raise ConfigError(f"death_retries should be 0 or a positive integer, got {self.death_retries!r}")
        if not self.grace_s >= 0:
            raise ConfigError(f"grace_s should be 0 or a positive number of seconds, got {self.grace_s!r}")
