"""The suite of catalogs."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from kernel.errors import DatasetError
from kernel.specs.executor import Reach
from kernel.testing.ending import nothing_left
from kernel.testing.functions import change
from kernel.testing.kinds import CHANGEABLE, VALUES, same
from kernel.testing.opened import BIG, Opened
from kernel.testing.sending import SendingRules
from kernel.testing.suite import Suite, applies_if

if TYPE_CHECKING:
    from kernel.specs.catalog import Catalog, CopyMode

__all__ = ["CatalogSuite"]


LABELLED = "frame with labels of others"

by_reference = applies_if(lambda suite: suite.reach == Reach.THREAD)
measured = applies_if(lambda suite: suite.measurable)


class CatalogSuite(SendingRules, Suite):
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

    @applies_if(lambda suite: LABELLED in VALUES)
    def test_labels_that_frames_share_stay_apart(self, opened: Opened) -> None:
        given = VALUES[LABELLED]()
        labels, name = given.index, given.index.name
        opened.keep("v", given)
        opened.get("v").index.name = "changed"
        assert opened.get("v").index.name == name
        assert opened.get("v", last=True).index.name == labels.name == name

    def test_a_value_that_nobody_can_copy_is_refused_and_named(self, opened: Opened) -> None:
        for value in (threading.Lock(), [threading.Lock()]):
            with pytest.raises(DatasetError, match="flights"):
                opened.store.save("flights", value)

    def test_a_loaded_value_outlives_its_catalog(self, opened: Opened) -> None:
        opened.keep("v", VALUES[BIG]())
        value = opened.get("v")
        opened.catalog.close()
        assert same(value, VALUES[BIG]())

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

    @pytest.mark.parametrize("kind", ["list", BIG])
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

    @pytest.mark.parametrize("kind", ["list", BIG])
    def test_a_second_value_of_a_name_takes_the_place_of_the_first(self, opened: Opened, kind: str) -> None:
        opened.keep("v", VALUES[kind]())
        opened.keep("v", "another")
        assert opened.get("v") == "another"
        opened.keep("v", VALUES[kind]())
        assert same(opened.get("v"), VALUES[kind]())

    @pytest.mark.parametrize("kind", ["list", BIG])
    def test_discarding_leaves_what_was_adopted_alone(self, opened: Opened, kind: str) -> None:
        opened.keep("v", VALUES[kind]())
        unwanted = [opened.store.save("v", VALUES[kind]()) for _ in range(3)]
        opened.catalog.discard(unwanted[:1])
        opened.catalog.discard(unwanted)
        opened.store.discard(opened.store.save("v", VALUES[kind]()))
        assert same(opened.get("v"), VALUES[kind]())

    @pytest.mark.parametrize("kind", ["list", BIG])
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
        opened.keep("v", VALUES[BIG]())
        opened.catalog.close()
        opened.catalog.close()
        with pytest.raises(DatasetError, match="v"):
            opened.catalog.handle("v")

    @by_reference
    def test_releasing_a_value_lets_it_go(self, catalog_factory: Callable[[], Catalog]) -> None:
        opened = Opened(catalog_factory(), self.reach, {"v": "assign", "w": "assign"})
        alive = [_kept_thing(opened, name) for name in "vw"]
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
                opened.keep(name, VALUES[BIG]())
            catalog.release(["v", "w"])
            sizes.append(catalog.memory_in_use())
        assert max(sizes) <= 2 * max(sizes[:3])
        opened.keep("v", VALUES[BIG]())
        full = catalog.memory_in_use()
        catalog.settle([])
        assert catalog.memory_in_use() < full

    def test_nothing_is_left_when_a_catalog_is_closed(self, catalog_factory: Callable[[], Catalog]) -> None:
        with nothing_left():
            opened = Opened(catalog_factory(), self.reach)
            opened.keep("v", VALUES[BIG]())
            opened.get("v")
            opened.catalog.close()


class _Thing:
    """Something to be let go of."""


def _kept_thing(opened: Opened, name: str) -> weakref.ref[_Thing]:
    thing = _Thing()
    opened.keep(name, thing)
    return weakref.ref(thing)
