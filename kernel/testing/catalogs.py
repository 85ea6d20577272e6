"""The suite of catalogs."""

from __future__ import annotations

import gc
import pickle
import threading
import weakref
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from attrs import define, field

from kernel.errors import DatasetError, ValidationError
from kernel.specs.executor import Reach
from kernel.testing import distant
from kernel.testing.elsewhere import Elsewhere
from kernel.testing.ending import nothing_left
from kernel.testing.functions import change
from kernel.testing.kinds import CHANGEABLE, VALUES, same
from kernel.testing.suite import Suite, applies_if

if TYPE_CHECKING:
    from kernel.specs.catalog import Catalog, CopyMode, Handle, Store

__all__ = ["CatalogSuite", "Opened"]

_BIG = "bytes of 8 MB"

by_reference = applies_if(lambda suite: suite.reach == Reach.THREAD)
by_value = applies_if(lambda suite: suite.reach > Reach.THREAD)
measured = applies_if(lambda suite: suite.measurable)


@define(eq=False)
class Opened:
    """A catalog under test with its store in this process, as a run has them."""

    catalog: Catalog
    reach: Reach
    copy_modes: Mapping[str, CopyMode] = field(factory=dict[str, "CopyMode"])
    store: Store = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.store = self.catalog.open(self.copy_modes, self.reach, 2)

    def keep(self, name: str, value: Any) -> Handle:
        """Save a value and have the catalog adopt it."""
        handle = self.store.save(name, value)
        self.catalog.adopt([name], [handle])
        return handle

    def get(self, name: str, *, last: bool = False) -> Any:
        """Load a value that the catalog keeps."""
        return self.store.load(name, self.catalog.handle(name), last)


class CatalogSuite(Suite):
    """What every catalog has to do for one reach. Derive from it, say the reach, and give a fixture.

    ```python
    class TestMine(CatalogSuite):
        reach = Reach.PROCESS

        @pytest.fixture
        def catalog_factory(self):
            return MyCatalog
    ```

    The factory is called without arguments and gives a new catalog each time. A catalog that keeps values outside their
    handles says `measurable = True` and has a method `memory_in_use()` that returns bytes.
    """

    needs: ClassVar = ("reach",)
    reach: ClassVar[Reach]
    measurable: ClassVar[bool] = False

    @pytest.fixture
    def catalog_factory(self) -> Callable[[], Catalog]:
        """Return what makes the catalog under test."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture 'catalog_factory'")

    @pytest.fixture
    def opened(self, catalog_factory: Callable[[], Catalog]) -> Generator[Opened]:
        """Return a catalog that is open, and its store."""
        opened = Opened(catalog_factory(), self.reach)
        yield opened
        opened.catalog.close()

    # -- values ---------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("kind", VALUES)
    def test_what_was_saved_is_loaded(self, opened: Opened, kind: str) -> None:
        handle = opened.keep("v", VALUES[kind]())
        assert same(opened.get("v"), VALUES[kind]())
        assert same(opened.get("v", last=True), VALUES[kind]())
        assert opened.store.size(handle) >= 0

    @pytest.mark.parametrize("kind", CHANGEABLE)
    def test_each_reader_gets_a_value_of_its_own(self, opened: Opened, kind: str) -> None:
        opened.keep("v", CHANGEABLE[kind]())
        first, second = opened.get("v"), opened.get("v")
        change(first)
        assert same(second, CHANGEABLE[kind]())
        assert same(opened.get("v", last=True), CHANGEABLE[kind]())

    @pytest.mark.parametrize("kind", CHANGEABLE)
    def test_a_value_is_kept_as_it_was_when_it_was_saved(self, opened: Opened, kind: str) -> None:
        value = CHANGEABLE[kind]()
        opened.keep("v", value)
        change(value)
        assert same(opened.get("v"), CHANGEABLE[kind]())

    def test_a_loaded_value_outlives_its_catalog(self, opened: Opened) -> None:
        opened.keep("v", VALUES[_BIG]())
        value = opened.get("v")
        opened.catalog.close()
        assert same(value, VALUES[_BIG]())

    def test_many_values_are_told_apart(self, opened: Opened) -> None:
        handles = [opened.store.save(f"v{at}", [at] * at) for at in range(200)]
        opened.catalog.adopt([f"v{at}" for at in range(200)], handles)
        assert all(opened.get(f"v{at}") == [at] * at for at in range(200))

    def test_several_threads_may_save_and_load_at_once(self, opened: Opened) -> None:
        wrong: list[int] = []

        def work(number: int) -> None:
            for at in range(10):
                value = bytes([number, at]) * 100_000
                if opened.store.load("v", opened.store.save("v", value)) != value:
                    wrong.append(number)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong

    # -- copy modes -----------------------------------------------------------------------------------------------

    @by_reference
    def test_a_value_that_is_assigned_is_the_very_object(self, catalog_factory: Callable[[], Catalog]) -> None:
        opened = Opened(catalog_factory(), self.reach, {"v": "assign"})
        value = [1, 2]
        opened.keep("v", value)
        assert opened.get("v") is value
        opened.catalog.close()

    @pytest.mark.parametrize("mode", ["copy", "deepcopy"])
    def test_a_value_that_is_copied_is_its_readers_own(
        self, catalog_factory: Callable[[], Catalog], mode: CopyMode
    ) -> None:
        opened = Opened(catalog_factory(), self.reach, {"v": mode})
        opened.keep("v", [1, 2])
        opened.get("v").append(3)
        assert opened.get("v") == [1, 2]
        opened.catalog.close()

    @applies_if(lambda suite: suite.reach < Reach.MACHINE and "array" in VALUES)
    @pytest.mark.parametrize("kind", [kind for kind in ("array", "array of 8 MB") if kind in VALUES])
    def test_a_value_that_is_read_only_refuses_to_be_written(
        self, catalog_factory: Callable[[], Catalog], kind: str
    ) -> None:
        opened = Opened(catalog_factory(), self.reach, {"v": "readonly"})
        opened.keep("v", VALUES[kind]())
        with pytest.raises(ValueError, match="read-only"):
            opened.get("v")[0] = 1
        opened.catalog.close()

    # -- keeping and letting go -----------------------------------------------------------------------------------

    @pytest.mark.parametrize("kind", ["list", _BIG])
    def test_a_value_that_was_released_is_gone_and_the_error_names_it(self, opened: Opened, kind: str) -> None:
        for name in ("flights", "planes"):
            opened.keep(name, VALUES[kind]())
        opened.catalog.release(["flights"])
        with pytest.raises(DatasetError, match="flights"):
            opened.catalog.handle("flights")
        assert same(opened.get("planes"), VALUES[kind]())

    def test_a_value_that_was_never_there_is_named(self, opened: Opened) -> None:
        with pytest.raises(DatasetError, match="flights"):
            opened.catalog.handle("flights")

    @pytest.mark.parametrize("kind", ["list", _BIG])
    def test_a_second_value_of_a_name_takes_the_place_of_the_first(self, opened: Opened, kind: str) -> None:
        opened.keep("v", VALUES[kind]())
        opened.keep("v", "another")
        assert opened.get("v") == "another"
        opened.keep("v", VALUES[kind]())
        assert same(opened.get("v"), VALUES[kind]())

    @pytest.mark.parametrize("kind", ["list", _BIG])
    def test_discarding_leaves_what_was_adopted_alone(self, opened: Opened, kind: str) -> None:
        opened.keep("v", VALUES[kind]())
        unwanted = [opened.store.save("v", VALUES[kind]()) for _ in range(3)]
        opened.catalog.discard(unwanted[:1])
        opened.catalog.discard(unwanted)
        opened.store.discard(opened.store.save("v", VALUES[kind]()))
        assert same(opened.get("v"), VALUES[kind]())

    @pytest.mark.parametrize("kind", ["list", _BIG])
    def test_settling_keeps_what_is_asked_for_and_drops_the_rest(self, opened: Opened, kind: str) -> None:
        for name in ("flights", "planes", "weather"):
            opened.keep(name, VALUES[kind]())
        opened.catalog.settle(["planes"])
        assert same(opened.get("planes"), VALUES[kind]())
        for name in ("flights", "weather"):
            with pytest.raises(DatasetError, match=name):
                opened.catalog.handle(name)

    def test_closing_may_come_twice_and_before_opening(self, catalog_factory: Callable[[], Catalog]) -> None:
        catalog_factory().close()
        opened = Opened(catalog_factory(), self.reach)
        opened.keep("v", VALUES[_BIG]())
        opened.catalog.close()
        opened.catalog.close()
        with pytest.raises(DatasetError, match="v"):
            opened.catalog.handle("v")

    @by_reference
    def test_releasing_a_value_lets_it_go(self, catalog_factory: Callable[[], Catalog]) -> None:
        opened = Opened(catalog_factory(), self.reach, {"v": "assign", "w": "assign"})
        values = [_Thing(), _Thing()]
        alive = [weakref.ref(value) for value in values]
        for name, value in zip("vw", values, strict=True):
            opened.keep(name, value)
        del values, value
        opened.catalog.release(["v"])
        gc.collect()
        assert alive[0]() is None
        assert alive[1]() is not None
        opened.catalog.settle([])
        gc.collect()
        assert alive[1]() is None
        opened.catalog.close()

    @measured
    def test_releasing_values_gives_their_memory_back(self, opened: Opened) -> None:
        catalog: Any = opened.catalog
        sizes: list[int] = []
        for _ in range(20):
            for name in ("v", "w"):
                opened.keep(name, VALUES[_BIG]())
            catalog.release(["v", "w"])
            sizes.append(catalog.memory_in_use())
        assert max(sizes) <= 2 * max(sizes[:3])
        opened.keep("v", VALUES[_BIG]())
        full = catalog.memory_in_use()
        catalog.settle([])
        assert catalog.memory_in_use() < full

    def test_nothing_is_left_when_a_catalog_is_closed(self, catalog_factory: Callable[[], Catalog]) -> None:
        with nothing_left():
            opened = Opened(catalog_factory(), self.reach)
            opened.keep("v", VALUES[_BIG]())
            opened.get("v")
            opened.catalog.close()

    # -- in other processes ---------------------------------------------------------------------------------------

    @by_value
    def test_handles_and_stores_can_be_sent(self, opened: Opened) -> None:
        for kind, make in VALUES.items():
            sent: Any = pickle.loads(pickle.dumps(opened.keep("v", make())))
            assert same(opened.store.load("v", sent), make()), kind
        pickle.dumps(opened.store)

    @by_value
    def test_a_value_that_cannot_be_sent_is_refused_and_named(self, opened: Opened) -> None:
        with pytest.raises(DatasetError, match="flights"):
            opened.store.save("flights", threading.Lock())

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
            made = lost.call(distant.make_and_save, "made", _BIG)
            opened.catalog.adopt(["made"], [made])
            lost.call(distant.save_and_forget, "lost", _BIG)
        finally:
            lost.kill()
        opened.catalog.worker_lost(0)
        assert same(opened.get("made"), VALUES[_BIG]())
        elsewhere.call(distant.open_store, opened.store, 0)
        assert same(elsewhere.call(distant.load, "made", made), VALUES[_BIG]())
        again = elsewhere.call(distant.make_and_save, "again", _BIG)
        opened.catalog.adopt(["again"], [again])
        elsewhere.call(distant.close_store)
        assert same(opened.get("again"), VALUES[_BIG]())


class _Thing:
    """Something to be let go of."""
