"""The base of all suites: the rules that do not apply to a backend are taken out before they are collected."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, ClassVar, TypeVar, cast

import pytest

from kernel.testing.elsewhere import Elsewhere
from kernel.testing.limits import time_limit

__all__ = ["Suite", "applies_if", "owner"]

_ELSEWHERE = pytest.StashKey[Elsewhere]()

Rule = TypeVar("Rule", bound=Callable[..., Any])


def applies_if(condition: Callable[[Any], bool]) -> Callable[[Rule], Rule]:
    """Mark a rule that holds for some backends only; `condition` is asked with the backend's suite."""

    def mark(rule: Rule) -> Rule:
        vars(rule)["applies"] = condition
        return rule

    return mark


class Suite:
    """A class of tests that a backend's own class of tests derives from."""

    #: What a suite has to say of its backend before its rules can be chosen.
    needs: ClassVar[tuple[str, ...]] = ()
    #: How long one test may take (seconds) before it is taken to hang.
    limit_s: ClassVar[float] = 60.0
    #: The rules that hold for some backends only, those taken out included.
    _conditional: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for base in reversed(cls.__mro__):
            own = {name: rule for name, rule in vars(base).items() if hasattr(rule, "applies")}
            cls._conditional = {**cls._conditional, **own}
        if not all(hasattr(cls, name) for name in cls.needs):
            return  # still abstract
        for name, rule in cls._conditional.items():
            if not rule.applies(cls):
                setattr(cls, name, None)  # pytest collects functions only
            elif getattr(cls, name) is None:
                setattr(cls, name, rule)  # a base of another kind had taken it out

    @pytest.fixture(autouse=True)
    def _limited(self) -> Generator[None]:
        with time_limit(self.limit_s):
            yield

    @pytest.fixture
    def elsewhere(self, request: pytest.FixtureRequest) -> Elsewhere:
        """Return another process, which all tests of a file share."""
        module = owner(request, pytest.Module)
        other = module.stash.get(_ELSEWHERE, None)
        if other is None:
            other = module.stash[_ELSEWHERE] = Elsewhere()
            module.addfinalizer(other.close)
        return other


def owner(request: pytest.FixtureRequest, kind: type[pytest.Collector]) -> pytest.Collector:
    """Return the file or class that the running test is in; what is kept there serves all its tests."""
    item = cast("pytest.Item", request.node)  # pyright: ignore[reportUnknownMemberType] - pytest leaves its type open
    found = item.getparent(kind)
    assert found is not None, f"the test is in no {kind.__name__}"
    return found
