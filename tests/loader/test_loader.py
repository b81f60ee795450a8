"""Rows after messages in any order: upserts, versions, STATE."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tap_cdp_export.loader import loader
from tap_cdp_export.loader.database import MoreMemoryNeeded
from tap_cdp_export.loader.errors import UnusableInput
from tap_cdp_export.loader.table import Table
from tests.loader.loading import INTEGER, TEXT, Warehouse, activate, record, schema, state, versioned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYED = schema(["k"], k=TEXT, v=TEXT)
APPENDED = schema([], k=TEXT, v=TEXT)


def test_the_schema_may_have_the_name_of_the_file(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "s.duckdb")
    warehouse.load(KEYED, record(k="1", v="one"))
    warehouse.load(schema(["k"], k=TEXT, v=INTEGER), record(k="2", v=2))
    with duckdb.connect(str(warehouse.path)) as database:
        assert database.execute("SELECT k, v FROM s.s.t ORDER BY k").fetchall() == [("1", "one"), ("2", "2")]


def test_a_record_is_a_row(warehouse: Warehouse) -> None:
    warehouse.load(KEYED, record(k="1", v="one"))
    assert warehouse.rows() == [("1", "one")]


def test_the_last_record_of_a_key_wins_within_a_batch(warehouse: Warehouse) -> None:
    warehouse.load(KEYED, *(record(k="1", v=str(number)) for number in range(5000)), record(k="1", v="last"))
    assert warehouse.rows() == [("1", "last")]


def test_the_last_record_of_a_key_wins_over_batches_and_runs(warehouse: Warehouse) -> None:
    warehouse.load(
        KEYED, record(k="1", v="first"), record(k="2", v="other"), record(k="1", v="second"), batch_size_rows=1
    )
    assert warehouse.rows() == [("1", "second"), ("2", "other")]
    warehouse.load(KEYED, record(k="1", v="third"))
    assert warehouse.rows() == [("1", "third"), ("2", "other")]


def test_a_composite_key_tells_rows_apart(warehouse: Warehouse) -> None:
    messages = [record(a="1", b=1, v="x"), record(a="1", b=2, v="y"), record(a="1", b=1, v="z")]
    warehouse.load(schema(["a", "b"], a=TEXT, b=INTEGER, v=TEXT), *messages)
    assert warehouse.rows() == [("1", 1, "z"), ("1", 2, "y")]


def test_without_keys_every_record_is_a_row(warehouse: Warehouse) -> None:
    for _ in range(2):
        warehouse.load(APPENDED, *[record(k="1", v="x")] * 2)
    assert warehouse.rows() == [("1", "x")] * 4


def test_a_table_that_is_nothing_but_a_key_keeps_one_row(warehouse: Warehouse) -> None:
    warehouse.load(schema(["k"], k=TEXT), record(k="1"), record(k="1"))
    warehouse.load(schema(["k"], k=TEXT), record(k="1"))
    assert warehouse.rows() == [("1",)]


def test_an_empty_text_is_a_key(warehouse: Warehouse) -> None:
    warehouse.load(KEYED, record(k="", v="old"), record(k="1", v=""))
    warehouse.load(KEYED, record(k="", v="new"))
    assert warehouse.rows() == [("", "new"), ("1", "")]


def test_an_absent_property_and_null_are_null(warehouse: Warehouse) -> None:
    warehouse.load(KEYED, record(k="1", v="x"), record(k="2", v="x"))
    warehouse.load(KEYED, record(k="1"), record(k="2", v=None))
    assert warehouse.rows() == [("1", None), ("2", None)]


def test_streams_may_take_turns(warehouse: Warehouse) -> None:
    messages = [record("a", k="1"), record("b", k="1"), record("a", k="2"), record("b", k="2")]
    warehouse.load(schema(["k"], "a", k=TEXT), schema(["k"], "b", k=TEXT), *messages)
    assert warehouse.rows(table="a") == warehouse.rows(table="b") == [("1",), ("2",)]


def test_a_stream_without_records_has_an_empty_table(warehouse: Warehouse) -> None:
    warehouse.load(KEYED)
    assert warehouse.rows() == []


def test_a_record_without_its_key_is_refused_by_name(warehouse: Warehouse) -> None:
    with pytest.raises(UnusableInput, match="1 records of t have no k, which is part of the key"):
        warehouse.load(KEYED, record(k="1"), record(v="x"))
    assert warehouse.rows() == []


def test_a_key_that_the_schema_lacks_is_refused_by_name(warehouse: Warehouse) -> None:
    with pytest.raises(UnusableInput, match=r"key of t names properties that it does not have: id\."):
        warehouse.load(schema(["id"], k=TEXT))


def test_a_key_that_is_named_twice_is_one(warehouse: Warehouse) -> None:
    warehouse.load(schema(["k", "k"], k=TEXT, v=TEXT), record(k="1", v="x"), record(k="1", v="y"))
    assert warehouse.rows() == [("1", "y")]


def test_a_table_with_another_key_is_left_alone(warehouse: Warehouse) -> None:
    warehouse.load(KEYED, record(k="1", v="x"))
    for keys in ([], ["v"], ["k", "v"]):
        with pytest.raises(UnusableInput, match=r"but that of its table is \(k\)"):
            warehouse.load(schema(keys, k=TEXT, v=TEXT), record(k="2", v="y"))
    assert warehouse.rows() == [("1", "x")]


def test_a_record_before_its_schema_is_an_error(warehouse: Warehouse) -> None:
    with pytest.raises(UnusableInput, match="Records of t come before its SCHEMA message"):
        warehouse.load(record(k="1"))


def test_state_follows_the_commit_of_what_stands_before_it(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    for name in ("_load_sources", "_write_state"):
        original = getattr(loader.Loader, name)

        def noted(self: Any, *values: Any, name: str = name, original: Any = original) -> None:
            order.append(name)
            original(self, *values)

        monkeypatch.setattr(loader.Loader, name, noted)
    warehouse.load(KEYED, record(k="1"), state(1), state(2), record(k="2"), state(3), batch_size_rows=2)
    assert order == ["_load_sources", "_write_state", "_write_state"]
    assert warehouse.states == [2, 3]


def test_state_with_nothing_before_it_is_passed_on_at_once(warehouse: Warehouse) -> None:
    def messages() -> Iterator[dict[str, Any]]:
        yield state({"bookmarks": {}})

    warehouse.load(*messages())
    assert warehouse.states == [{"bookmarks": {}}]


def test_state_commits_what_has_waited_long(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "_LONGEST_WAIT", -1.0)
    warehouse.load(KEYED, record(k="1"), state(1), record(k="2"), state(2))
    assert warehouse.states == [1, 2]


def test_a_batch_that_fails_passes_no_state_on_and_leaves_no_row(warehouse: Warehouse) -> None:
    with pytest.raises(UnusableInput):
        warehouse.load(KEYED, record(k="1"), state(1), record(k=None), state(2))
    assert warehouse.states == []
    assert warehouse.rows() == []


def test_nothing_that_follows_a_batch_that_fails_is_loaded(warehouse: Warehouse) -> None:
    batches = [record(k="1"), state(1), record(k=None), state(2), record(k="3"), state(3), record(k="4"), state(4)]
    with pytest.raises(UnusableInput, match="1 records of t have no k"):
        warehouse.load(KEYED, *batches, batch_size_rows=1)
    assert warehouse.states == [1]
    assert warehouse.rows("k") == [("1",)]


def test_the_next_batch_is_collected_while_one_is_loaded(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    is_collected = Event()
    load = Table.load

    def waiting(table: Table, *values: Any) -> int:
        assert is_collected.wait(30)
        return load(table, *values)

    def messages() -> Iterator[dict[str, Any]]:
        yield from (KEYED, record(k="1"))
        is_collected.set()
        yield from (record(k="2"), state(1))

    monkeypatch.setattr(Table, "load", waiting)
    warehouse.load_each(messages(), batch_size_rows=1)
    assert warehouse.rows("k") == [("1",), ("2",)]
    assert warehouse.states == [1]


def test_an_error_is_not_kept_back_until_the_next_batch_is_complete(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = loader.Loader._load  # noqa: SLF001 -- where a load ends
    has_failed = Event()

    def noted(self: loader.Loader, waiting: Any) -> None:
        try:
            load(self, waiting)
        finally:
            has_failed.set()

    def messages() -> Iterator[dict[str, Any]]:
        yield from (KEYED, record(k="1"), record(k=None))
        assert has_failed.wait(30)
        yield record(k="2")
        end = time.monotonic() + 30
        while time.monotonic() < end:
            yield state(1)
        pytest.fail("the error is kept back")

    monkeypatch.setattr(loader.Loader, "_load", noted)
    with pytest.raises(UnusableInput, match="1 records of t have no k"):
        warehouse.load_each(messages(), batch_size_rows=2)
    assert warehouse.states == []


def test_what_stands_before_an_unusable_line_is_committed(warehouse: Warehouse) -> None:
    with pytest.raises(UnusableInput, match="Line 4 of the input is not JSON"):
        warehouse.load(KEYED, record(k="1"), state(1), b"oops\n", record(k="2"), state(2))
    assert warehouse.states == [1]
    assert warehouse.rows("k") == [("1",)]


def test_versions_mark_the_rows_that_a_full_table_lacks(warehouse: Warehouse) -> None:
    warehouse.load(KEYED, versioned(1, k="a"), versioned(1, k="b"), activate(1))
    warehouse.load(KEYED, versioned(2, k="a"), activate(2))
    assert warehouse.rows("k, _sdc_deleted_at IS NULL") == [("a", True), ("b", False)]


def test_a_marked_row_that_comes_back_is_not_marked(warehouse: Warehouse) -> None:
    for version, keys in enumerate(["ab", "a", "ab"]):
        warehouse.load(KEYED, *(versioned(version, k=key) for key in keys), activate(version))
    assert warehouse.rows("k, _sdc_deleted_at") == [("a", None), ("b", None)]


def test_versions_delete_the_rows_that_a_full_table_lacks(warehouse: Warehouse) -> None:
    warehouse.load(KEYED, record(k="before versions"), hard_delete=True)
    warehouse.load(KEYED, versioned(1, k="a"), versioned(1, k="b"), activate(1), hard_delete=True)
    assert warehouse.rows("k") == [("a",), ("b",)]
    warehouse.load(KEYED, versioned(2, k="a"), activate(2), record(k="c"), hard_delete=True)
    assert warehouse.rows("k") == [("a",), ("c",)]


def test_versions_need_records_that_have_one(warehouse: Warehouse, caplog: pytest.LogCaptureFixture) -> None:
    warehouse.load(KEYED, record(k="a"), activate(2), hard_delete=True)
    assert warehouse.rows("k") == [("a",)]
    assert "t: ACTIVATE_VERSION is ignored" in caplog.text


def test_a_record_that_says_it_is_deleted_is_deleted_on_wish(warehouse: Warehouse) -> None:
    log_based = schema(["k"], k=TEXT, _sdc_deleted_at={"type": ["string", "null"], "format": "date-time"})
    messages = [log_based, record(k="a"), record(k="b"), record(k="a", _sdc_deleted_at="2026-01-01T00:00:00Z")]
    warehouse.load(*messages)
    assert warehouse.rows() == [("a", datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)), ("b", None)]
    warehouse.load(*messages, hard_delete=True)
    assert warehouse.rows() == [("b", None)]


def test_a_record_may_hold_a_metadata_column_itself(warehouse: Warehouse) -> None:
    messages = [schema(["k"], k=TEXT, _SDC_DELETED_AT=TEXT), record(k="a", _SDC_DELETED_AT="x"), record(k="b")]
    warehouse.load(*messages, add_metadata_columns=True)
    assert warehouse.rows("k, _sdc_deleted_at, _sdc_batched_at IS NULL") == [("a", "x", False), ("b", None, False)]
    warehouse.load(*messages, add_metadata_columns=True, hard_delete=True)
    assert warehouse.rows("k") == [("b",)]


def test_a_load_that_is_repeated_with_more_memory_adds_the_column_of_versions_again(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, failures = Table._upsert, [MoreMemoryNeeded("")]  # noqa: SLF001 -- the moment when memory runs out

    def upsert(self: Table, *values: Any) -> None:
        if failures:
            raise failures.pop()
        original(self, *values)

    monkeypatch.setattr(Table, "_upsert", upsert)
    warehouse.load(KEYED, versioned(3, k="a"))
    assert warehouse.rows("k, _sdc_table_version") == [("a", 3)]


def test_metadata_columns_come_on_wish(warehouse: Warehouse) -> None:
    warehouse.load(KEYED, record(k="1"))
    assert set(warehouse.types()) == {"k", "v"}
    start = datetime.now(UTC).replace(tzinfo=None)
    extracted = {**versioned(7, k="1"), "time_extracted": "2026-01-01T02:00:00+02:00"}
    warehouse.load(KEYED, extracted, add_metadata_columns=True)
    columns = "_sdc_extracted_at, _sdc_received_at, _sdc_batched_at, _sdc_deleted_at, _sdc_sequence, _sdc_table_version"
    ((extracted_at, received, batched, deleted, sequence, version),) = warehouse.rows(columns)
    assert extracted_at == datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    assert start <= received <= batched
    assert (deleted, version) == (None, 7)
    assert sequence >= start.replace(tzinfo=UTC).timestamp() * 1000


def test_metadata_columns_that_are_there_are_filled_without_the_wish(warehouse: Warehouse) -> None:
    warehouse.load(KEYED, record(k="1"), add_metadata_columns=True)
    ((first,),) = warehouse.rows("_sdc_batched_at")
    warehouse.load(KEYED, record(k="1"))
    ((second,),) = warehouse.rows("_sdc_batched_at")
    assert second > first
