"""Parts of SQL statements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tap_cdp_export.loader.columns import INTEGERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tap_cdp_export.loader.sources import Source


_PATTERNS: Final = {
    "BOOLEAN": r"^(?i)(true|false|[01])(?:\.0)?$",
    # a day, or its midnight
    "DATE": r"^([0-9]+[-/][0-9]+[-/][0-9]+)(?:[T ]00:00(?::00(?:\.0+)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?$",
}
_READ_TYPES: Final = {**dict.fromkeys((*INTEGERS, *_PATTERNS), "VARCHAR"), "TIMESTAMP": "TIMESTAMPTZ"}


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

    What DuckDB's JSON reader changes without a word is read as another type (see `_READ_TYPES`) and cast here: it
    rounds fractions to integers, takes any number and words such as "on" for a BOOLEAN, and drops the time of a DATE
    and the offset of a TIMESTAMP. Large numbers and infinity are left to `exactness`. Each expression names the column
    once, because DuckDB plans hundreds of columns slowly otherwise.

    Args:
        name: of the column.
        column_type: its type.

    Returns:
        An expression; it raises an error for a value that the type does not hold.
    """
    value = f"record.{quoted(name)}"
    if column_type in INTEGERS:  # "1.0" becomes "1", and "1.5" becomes "1x5", which is not cast
        return f"CAST(replace(replace({value} || ' ', '.0 ', ''), '.', 'x') AS {column_type})"
    if column_type in _PATTERNS:  # without a match the text is empty, which is not cast
        return f"CAST(regexp_extract({value}, '{_PATTERNS[column_type]}', 1) AS {column_type})"
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
    fields = ", ".join(
        f"{quoted(name)} {_READ_TYPES.get(column_type, column_type)}" for name, column_type in columns.items()
    )
    struct = _text(f"STRUCT({fields})" if fields else "JSON")
    options = f"format='newline_delimited', compression='{source.compression}', maximum_object_size={largest}"
    if source.is_bare:
        bare = f"read_json('{path}', {options}, records='false', columns={{record: {struct}}})"
        version = "NULL" if source.version is None else int(source.version)
        return f"(SELECT record, {version}::BIGINT AS version, NULL::TIMESTAMPTZ AS time_extracted FROM {bare})"  # noqa: S608 -- names are quoted
    message = f"{{record: {struct}, version: 'BIGINT', time_extracted: 'TIMESTAMPTZ'}}"
    return f"read_json('{path}', {options}, columns={message})"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
