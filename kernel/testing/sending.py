"""What a catalog does for workers in other processes: values get there and back, or are refused by name."""

from __future__ import annotations

import pickle
import threading
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from kernel.errors import ValidationError
from kernel.specs.executor import Reach
from kernel.testing import distant
from kernel.testing.elsewhere import Elsewhere
from kernel.testing.kinds import CHANGEABLE, VALUES, same
from kernel.testing.opened import BIG
from kernel.testing.suite import applies_if

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel.specs.catalog import Catalog
    from kernel.testing.opened import Opened

__all__ = ["SendingRules"]

by_value = applies_if(lambda suite: suite.reach > Reach.THREAD)


class SendingRules:
    """Values, handles and stores that leave the process."""

    reach: ClassVar[Reach]

    @by_value
    def test_handles_and_stores_can_be_sent(self, opened: Opened) -> None:
        for kind, make in VALUES.items():
            sent: Any = pickle.loads(pickle.dumps(opened.keep("v", make())))
            assert same(opened.store.load("v", sent), make()), kind
        pickle.dumps(opened.store)

    @by_value
    def test_all_inputs_that_cannot_be_sent_are_named_at_once(self, catalog_factory: Callable[[], Catalog]) -> None:
        catalog = catalog_factory()
        values = {"flights": threading.Lock(), "planes": 1, "weather": threading.Lock()}
        readers = {name: [f"node_of_{name}"] for name in values}
        with pytest.raises(ValidationError) as caught:
            catalog.validate_catalog([*values, "made"], values, self.reach, readers)
        told = "\n".join(caught.value.problems)
        assert all(name in told for name in ("flights", "weather", "node_of_flights"))
        assert "planes" not in told

    @by_value
    def test_values_go_to_another_process_and_come_from_there(self, opened: Opened, elsewhere: Elsewhere) -> None:
        elsewhere.call(distant.open_store, opened.store, 0)
        for kind in CHANGEABLE.keys() & VALUES.keys():
            handle = opened.keep(f"to {kind}", VALUES[kind]())
            elsewhere.call(distant.change_loaded, f"to {kind}", handle)
            assert same(elsewhere.call(distant.load, f"to {kind}", handle), VALUES[kind]())
        for kind in VALUES:
            made = elsewhere.call(distant.make_and_save, f"from {kind}", kind)
            opened.catalog.adopt([f"from {kind}"], [made])
        elsewhere.call(distant.close_store)
        wrong = [kind for kind in VALUES if not same(opened.get(f"from {kind}"), VALUES[kind]())]
        assert not wrong

    @by_value
    def test_what_was_adopted_outlives_a_worker_that_is_killed(self, opened: Opened, elsewhere: Elsewhere) -> None:
        lost = Elsewhere()
        try:
            lost.call(distant.open_store, opened.store, 0)
            made = lost.call(distant.make_and_save, "made", BIG)
            opened.catalog.adopt(["made"], [made])
            lost.call(distant.save_and_forget, "lost", BIG)
        finally:
            lost.kill()
        opened.catalog.worker_lost(0)
        assert same(opened.get("made"), VALUES[BIG]())
        elsewhere.call(distant.open_store, opened.store, 0)
        assert same(elsewhere.call(distant.load, "made", made), VALUES[BIG]())
        again = elsewhere.call(distant.make_and_save, "again", BIG)
        opened.catalog.adopt(["again"], [again])
        elsewhere.call(distant.close_store)
        assert same(opened.get("again"), VALUES[BIG]())
