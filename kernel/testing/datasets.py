"""The suite of dataset types."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import cloudpickle  # pyright: ignore[reportMissingTypeStubs] - it has none
import pytest

from kernel import Datasets, Pipeline, Runner, Version, node
from kernel.datasets import access
from kernel.errors import DatasetError, VersionNotFoundError
from kernel.testing import distant, functions
from kernel.testing.kinds import same
from kernel.testing.suite import Suite, applies_if

if TYPE_CHECKING:
    from kernel.datasets import Dataset
    from kernel.testing.elsewhere import Elsewhere

__all__ = ["DatasetSuite"]

SECRET = "correct-horse-battery"

if_shared = applies_if(lambda suite: suite.shared)
if_versioned = applies_if(lambda suite: suite.keeps_versions)
if_with_credentials = applies_if(lambda suite: suite.takes_credentials)


class _Unsavable:
    """Nothing can be done with it."""

    def __reduce__(self) -> Any:
        raise TypeError("it cannot be pickled")


class DatasetSuite(Suite):
    """What every dataset type has to do. Derive from it and give two fixtures.

    ```python
    class TestMine(DatasetSuite):
        keeps_versions = True

        @pytest.fixture
        def make_dataset(self, tmp_path):
            return lambda **options: MyDataset(tmp_path / "it", **options)

        @pytest.fixture
        def values(self):
            return [[1, 2], [3]]
    ```

    `make_dataset` is called with no options, with `version=` if the type keeps versions and `credentials=` if it takes
    them; each time it gives a new object for the same place, where nothing has been saved when a test begins. `values`
    are two different ones that it can keep.
    """

    #: What one object saves another one finds, in this process or another.
    shared: ClassVar[bool] = True
    keeps_versions: ClassVar[bool] = False
    takes_credentials: ClassVar[bool] = False

    @pytest.fixture
    def make_dataset(self) -> Callable[..., Dataset]:
        """Return what makes datasets of the type under test."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture 'make_dataset'")

    @pytest.fixture
    def values(self) -> list[Any]:
        """Return two values that it can keep."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture 'values'")

    def same(self, left: Any, right: Any) -> bool:
        """Say whether what was loaded is what was saved."""
        return same(left, right)

    # -- saving and loading ---------------------------------------------------------------------------------------

    def test_what_was_saved_is_loaded(self, make_dataset: Callable[..., Dataset], values: list[Any]) -> None:
        for value in values:
            dataset = make_dataset()
            dataset.save(value)
            assert self.same(dataset.load(), value)
            assert self.same(dataset.load(), value)

    def test_the_last_save_counts(self, make_dataset: Callable[..., Dataset], values: list[Any]) -> None:
        dataset = make_dataset()
        for value in (*values, *reversed(values), values[-1]):
            dataset.save(value)
            assert self.same(dataset.load(), value)

    def test_it_exists_once_it_was_saved(self, make_dataset: Callable[..., Dataset], values: list[Any]) -> None:
        dataset = make_dataset()
        assert access.exists("flights", dataset) is False
        dataset.save(values[0])
        assert access.exists("flights", dataset) is True

    def test_loading_what_is_not_there_is_an_error_that_names_it(self, make_dataset: Callable[..., Dataset]) -> None:
        with pytest.raises(DatasetError, match=r"^flights: "):
            access.load("flights", make_dataset())

    def test_none_is_no_data(self, make_dataset: Callable[..., Dataset]) -> None:
        dataset = make_dataset()
        with pytest.raises(DatasetError, match=r"^flights: "):
            access.save("flights", dataset, None)
        assert not dataset.exists()

    @if_shared
    def test_a_save_that_fails_leaves_what_was_there(
        self, make_dataset: Callable[..., Dataset], values: list[Any]
    ) -> None:
        dataset = make_dataset()
        with pytest.raises(DatasetError, match=r"^flights: "):
            access.save("flights", dataset, _Unsavable())
        assert not dataset.exists()
        dataset.save(values[0])
        with pytest.raises(DatasetError, match=r"^flights: "):
            access.save("flights", dataset, _Unsavable())
        assert self.same(make_dataset().load(), values[0])

    @if_shared
    def test_releasing_drops_nothing_that_was_saved(
        self, make_dataset: Callable[..., Dataset], values: list[Any]
    ) -> None:
        dataset = make_dataset()
        dataset.release()
        dataset.save(values[0])
        dataset.release()
        dataset.release()
        assert self.same(dataset.load(), values[0])

    # -- one place, several objects and processes -----------------------------------------------------------------

    @if_shared
    def test_another_object_finds_what_was_saved(self, make_dataset: Callable[..., Dataset], values: list[Any]) -> None:
        one, other = make_dataset(), make_dataset()
        for value in values:
            one.save(value)
            other.release()
            assert other.exists()
            assert self.same(other.load(), value)

    @if_shared
    def test_it_can_be_sent_to_another_process(
        self, make_dataset: Callable[..., Dataset], values: list[Any], elsewhere: Elsewhere
    ) -> None:
        dataset = make_dataset()
        dataset.save(values[0])
        sent = _Sent(dataset)
        assert self.same(elsewhere.call(distant.load_dataset, sent), values[0])
        elsewhere.call(distant.save_in_turn, sent, values, 1)
        dataset.release()
        assert self.same(dataset.load(), values[-1])

    @if_shared
    def test_a_reader_sees_the_old_or_the_new_while_another_process_saves(
        self, make_dataset: Callable[..., Dataset], values: list[Any], elsewhere: Elsewhere
    ) -> None:
        dataset = make_dataset()
        dataset.save(values[0])
        saving = threading.Thread(target=elsewhere.call, args=(distant.save_in_turn, _Sent(dataset), values, 20))
        saving.start()
        torn = 0
        try:
            while saving.is_alive():
                reader = make_dataset()
                reader.release()
                found = reader.load()
                torn += not any(self.same(found, value) for value in values)
        finally:
            saving.join()
        assert not torn

    @if_shared
    def test_making_one_touches_nothing(self, make_dataset: Callable[..., Dataset]) -> None:
        make_dataset()
        assert not make_dataset().exists()

    def test_a_pipeline_reads_and_writes_it(self, make_dataset: Callable[..., Dataset], values: list[Any]) -> None:
        dataset = make_dataset()
        dataset.save(values[0])
        nodes = [node(functions.pass_on, "flights", "seen"), node(functions.pass_on, "given", "made")]
        runner = Runner(plugins=False)
        with runner.run(Pipeline(nodes[:1]), Datasets({"flights": dataset})) as result:
            assert self.same(result["seen"], values[0])
        with runner.run(Pipeline(nodes[1:]), Datasets({"made": dataset, "given": values[1]})) as result:
            assert self.same(result["made"], values[1])

    # -- what it says of itself -----------------------------------------------------------------------------------

    def test_it_says_in_a_line_where_it_is(self, make_dataset: Callable[..., Dataset]) -> None:
        told = make_dataset().describe()
        assert told.strip()
        assert len(told.splitlines()) == 1

    @if_with_credentials
    def test_it_tells_no_secrets(self, make_dataset: Callable[..., Dataset], values: list[Any]) -> None:
        dataset = make_dataset(credentials={"password": SECRET})
        assert SECRET not in dataset.describe()
        assert SECRET not in repr(dataset)
        with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is, it tells no secret
            dataset.load()
        assert SECRET not in f"{caught.value} {caught.value!r}"

    # -- versions -------------------------------------------------------------------------------------------------

    @if_versioned
    def test_each_version_is_kept(self, make_dataset: Callable[..., Dataset], values: list[Any]) -> None:
        for version, value in zip(("2013-01-01", "2013-01-02"), values, strict=True):
            make_dataset(version=Version(save=version)).save(value)
        assert make_dataset(version=Version()).newest_version() == "2013-01-02"
        assert self.same(make_dataset(version=Version()).load(), values[1])
        assert self.same(make_dataset(version=Version(load="2013-01-01")).load(), values[0])

    @if_versioned
    def test_a_version_that_is_not_there_is_an_error(
        self, make_dataset: Callable[..., Dataset], values: list[Any]
    ) -> None:
        assert make_dataset(version=Version()).newest_version() is None
        assert not make_dataset(version=Version()).exists()
        make_dataset(version=Version(save="2013-01-01")).save(values[0])
        absent = make_dataset(version=Version(load="2012-12-31"))
        assert not absent.exists()
        with pytest.raises(VersionNotFoundError, match=r"^flights: "):
            access.load("flights", absent)

    @if_versioned
    def test_a_version_is_saved_once(self, make_dataset: Callable[..., Dataset], values: list[Any]) -> None:
        make_dataset(version=Version(save="2013-01-01")).save(values[0])
        with pytest.raises(DatasetError, match=r"^flights: "):
            access.save("flights", make_dataset(version=Version(save="2013-01-01")), values[1])
        assert self.same(make_dataset(version=Version(load="2013-01-01")).load(), values[0])


class _Sent:
    """A dataset on its way to another process, by the means by which the kernel sends it."""

    def __init__(self, dataset: Dataset) -> None:
        self._pickled: bytes = cloudpickle.dumps(dataset, 5)  # pyright: ignore[reportUnknownMemberType] - it has no types

    def __call__(self) -> Dataset:
        """Build it."""
        dataset: Dataset = pickle.loads(self._pickled)
        return dataset
