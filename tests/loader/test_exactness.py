"""Whole numbers that a DOUBLE would round, and numbers and times that would become infinite."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tap_cdp_export.loader.errors import UnusableInput
from tests.loader.loading import INTEGER, TEXT, record, schema, state

if TYPE_CHECKING:
    from tests.loader.loading import Warehouse

NUMBER = {"type": ["number", "null"]}


@pytest.mark.parametrize("value", ["9007199254740993", "-9007199254740993", "18446744073709551615", "1e400", "-1e400"])
@pytest.mark.parametrize("after", [NUMBER, INTEGER])
def test_a_number_that_would_be_rounded_or_infinite_is_refused_by_name(
    warehouse: Warehouse, value: str, after: Any
) -> None:
    warehouse.load(schema(["k"], k=TEXT, n=NUMBER), record(k="1", n=2**53), record(k="2", n=1.5))
    line = json.dumps(record(k="1", n="value")).replace('"value"', value) + "\n"
    reason = r"^t: a value of n does not fit the column's type DOUBLE\. Change the column's type to VARCHAR"
    with pytest.raises(UnusableInput, match=reason):
        warehouse.load(schema(["k"], k=TEXT, n=after), record(k="3", n=None), line.encode(), record(k="4"), state(1))
    assert (warehouse.rows(), warehouse.states) == ([("1", 2.0**53), ("2", 1.5)], [])


@pytest.mark.parametrize(
    "value", ["9223372036854776000", "-1234567890123456800", "18446744073709552000", f"1{'0' * 23}"]
)
def test_the_shortest_digits_of_a_double_are_loaded(
    warehouse: Warehouse, caplog: pytest.LogCaptureFixture, value: str
) -> None:
    """As JavaScript and Go write it: `JSON.stringify(2**63)` is 9223372036854776000."""
    line = json.dumps(record(k="1", n="value")).replace('"value"', value) + "\n"
    warehouse.load(schema(["k"], k=TEXT, n=NUMBER), line.encode(), state(1))
    assert warehouse.rows("n") == [(float(value),)]
    assert "rounded" not in caplog.text


def test_a_longer_whole_number_is_rounded_with_one_warning(
    warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    messages = [record(k=str(number), n=12345678901234567890123 + number, x=1e30) for number in range(4)]
    one = record(k="4", n=True)  # which DuckDB stores as 1
    warehouse.load(schema(["k"], k=TEXT, n=NUMBER, x=NUMBER), one, *messages, batch_size_rows=2)
    assert {n for (n,) in warehouse.rows("n")} == {1.2345678901234568e22, 1.0}
    warnings = [entry.getMessage() for entry in caplog.records if entry.levelname == "WARNING"]
    assert len(warnings) == 1
    assert warnings[0].startswith("t.n: whole numbers of more than 20 digits are rounded")


def test_a_longer_whole_number_is_not_rounded_in_a_key(warehouse: Warehouse) -> None:
    with pytest.raises(UnusableInput, match="a value of n does not fit the column's type DOUBLE"):
        warehouse.load(schema(["n"], n=NUMBER), record(n=12345678901234567890123), record(n=12345678901234567890124))
    assert warehouse.rows() == []


@pytest.mark.parametrize("column_type", ["VARCHAR", "DECIMAL(38, 2)"])
def test_such_a_number_is_stored_in_a_column_that_the_user_has_changed(warehouse: Warehouse, column_type: str) -> None:
    warehouse.load(schema(["k"], k=TEXT, n=NUMBER))
    with duckdb.connect(str(warehouse.path)) as database:
        database.execute(f"ALTER TABLE s.t ALTER n TYPE {column_type}")
    warehouse.load(schema(["k"], k=TEXT, n=NUMBER), record(k="1", n=2**53 + 1))
    assert warehouse.rows("n::DECIMAL(38, 2)::HUGEINT") == [(2**53 + 1,)]
