"""How a run deals with trouble."""

from __future__ import annotations

from typing import Literal, cast, get_args

from attrs import frozen

from kernel.errors import ConfigError

__all__ = ["OnFailure", "Rules"]

#: What else still runs after a failure: nothing, what was ready by then, or all that does not need the failed node.
OnFailure = Literal["stop", "drain", "continue"]


@frozen
class Rules:
    """What is done about failures, deaths and requests to stop; ConfigError for values that cannot be.

    `death_retries` is how often a node runs again whose worker died, `grace_s` how many seconds running nodes get
    when the run is asked to stop.
    """

    on_failure: OnFailure = "stop"
    death_retries: int = 1
    grace_s: float = 3.0

    def __attrs_post_init__(self) -> None:
        policies = get_args(OnFailure)
        if self.on_failure not in policies:
            raise ConfigError(f"on_failure should be one of {', '.join(policies)}, got {self.on_failure!r}")
        if type(self.death_retries) is not int or self.death_retries < 0:
            raise ConfigError(f"death_retries should be 0 or a positive integer, got {self.death_retries!r}")
        grace = cast("object", self.grace_s)  # whatever it should be
        if not isinstance(grace, (int, float)) or not grace >= 0:
            raise ConfigError(f"grace_s should be 0 or a positive number of seconds, got {self.grace_s!r}")
