"""Find out which column of which source DuckDB refused. Its own messages quote data, so they are not shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import duckdb

from tap_cdp_export.loader.errors import UnusableInput
from tap_cdp_export.loader.lines import LARGEST_LINE
from tap_cdp_export.loader.statements import read_records, value_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_cdp_export.loader.sources import Source
    from tap_cdp_export.loader.table import Table

_OBJECT: Final = "CASE WHEN json_type(record) IS DISTINCT FROM 'OBJECT' THEN error('no record') END"


def explain(database: duckdb.DuckDBPyConnection, table: Table, sources: Sequence[Source]) -> UnusableInput:
    """Read the sources again, first without their columns and then one column at a time, until an error comes.

    Args:
        database: the connection, outside a transaction.
        table: the stream's table.
        sources: the records that could not be loaded.

    Returns:
        An error that names the stream, the file and the column.
    """
    for source in sources:
        where = f"{table.stream}, BATCH file {source.label}" if source.label else table.stream
        with source.opened() as (path, largest):
            try:
                _read(database, read_records(source, path, largest, {}), _OBJECT)
            except duckdb.Error as error:
                return UnusableInput(f"{where}: {_reason(str(error))}")
            for name, column_type in table.read_columns.items():
                records = read_records(source, path, largest, {name: column_type})
                try:
                    _read(database, records, value_of(name, column_type))
                except duckdb.Error:
                    return UnusableInput(f"{where}: a value of {name} does not fit the column's type {column_type}.")
            for name in ("version", "time_extracted"):
                try:
                    _read(database, read_records(source, path, largest, {}), name)
                except duckdb.Error:
                    return UnusableInput(f"{where}: the {name} of a message cannot be read.")
    return UnusableInput(f"{table.stream}: DuckDB refuses the records, for a reason it gives for no single column.")


def _read(database: duckdb.DuckDBPyConnection, records: str, value: str) -> None:
    database.execute(f"SELECT count({value}) FROM {records}").fetchall()  # noqa: S608 -- names are quoted


def _reason(error: str) -> str:
    if "maximum_object_size" in error:
        return f"a record is larger than {LARGEST_LINE // 10**6} MB."
    if "GZIP" in error or "gzip" in error:
        return "the file is not whole, or not compressed with gzip."
    if "no record" in error:
        return "a message has no record."
    return "a line is not a JSON object in UTF-8, or names a property twice."
