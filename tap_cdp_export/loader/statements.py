"""Parts of SQL statements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_cdp_export.loader.columns import INTEGERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tap_cdp_export.loader.sources import Source


def quoted(name: str) -> str:
    """Quote a name.

    Args:
        name: of a schema, table or column.

    Returns:
        The name as an identifier of SQL.
    """
    return '"' + name.replace('"', '""') + '"'


def listed(names: Iterable[str]) -> str:
    """Quote names and join them with commas.

    Args:
        names: of columns.

    Returns:
        A list for a statement.
    """
    return ", ".join(map(quoted, names))


def value_of(name: str, column_type: str) -> str:
    """Return the expression for a column's value in `read_records`.

    What DuckDB's JSON reader changes without a word is read as another type (see `_read_type`) and cast here: it rounds
    fractions to integers, and drops the offset of a TIMESTAMP. Each expression names the column once, because DuckDB
    plans hundreds of columns slowly otherwise.

    Args:
        name: of the column.
        column_type: its type.

    Returns:
        An expression; it raises an error for a value that the type does not hold.
    """
    value = f"record.{quoted(name)}"
    if column_type in INTEGERS:  # "1.0" becomes "1", and "1.5" becomes "1x5", which is not cast
        return f"CAST(replace(replace({value} || ' ', '.0 ', ''), '.', 'x') AS {column_type})"
    if column_type == "TIMESTAMP":
        return f"timezone('UTC', {value})"
    return value


def read_records(source: Source, path: str, largest: int, columns: Mapping[str, str]) -> str:
    """Return the FROM clause that reads a source: columns `record`, `version` and `time_extracted`.

    Args:
        source: the records.
        path: of the opened source.
        largest: size of the largest object.
        columns: name and type of each column; without any, `record` is JSON.

    Returns:
        A table expression.
    """
    fields = ", ".join(f"{quoted(name)} {_read_type(column_type)}" for name, column_type in columns.items())
    struct = _text(f"STRUCT({fields})" if fields else "JSON")
    options = f"format='newline_delimited', compression='{source.compression}', maximum_object_size={largest}"
    if source.is_bare:
        bare = f"read_json('{path}', {options}, records='false', columns={{record: {struct}}})"
        version = "NULL" if source.version is None else int(source.version)
        return f"(SELECT record, {version}::BIGINT AS version, NULL::TIMESTAMPTZ AS time_extracted FROM {bare})"  # noqa: S608 -- names are quoted
    message = f"{{record: {struct}, version: 'BIGINT', time_extracted: 'TIMESTAMPTZ'}}"
    return f"read_json('{path}', {options}, columns={message})"


def _read_type(column_type: str) -> str:
    if column_type in INTEGERS:
        return "VARCHAR"
    return "TIMESTAMPTZ" if column_type == "TIMESTAMP" else column_type


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
