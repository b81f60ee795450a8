"""Find values that DuckDB's reader has changed without an error: rounded whole numbers, and infinity.

They show in what was read: such a number is large, and such a time infinite. Only then are the sources read again, as
text, because reading all numbers as text is slower.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol

from tap_cdp_export.loader.errors import UnusableInput
from tap_cdp_export.loader.statements import quoted, read_records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

    from tap_cdp_export.loader.sources import Source

    class _Table(Protocol):
        """What is needed of a stream's table."""

        stream: str
        keys: list[str]
        rounded: set[str]

        @property
        def read_columns(self) -> Mapping[str, str]: ...


logger = logging.getLogger(__name__)

_MOST_DIGITS: Final = 20
"""As many as a whole number of 64 bits has. Most JSON readers round longer ones, whose digits nobody expects."""

_LARGE: Final = {
    "DOUBLE": f"max(abs({{0}})) FILTER (NOT isnan({{0}})) > {2**53 - 1}",
    "TIMESTAMP": "isinf(max({0})) OR isinf(min({0}))",
}
_INFINITE: Final = {
    "DOUBLE": "isinf(TRY_CAST({0} AS DOUBLE)) AND regexp_matches({0}, '[0-9]')",  # "Infinity" is stored as it is
    "TIMESTAMP": "isinf(TRY_CAST({0} AS TIMESTAMPTZ))",
}
# JavaScript and others write 2^63 as 9223372036854776000: the shortest digits of the same DOUBLE, then zeros
_SHORTEST_DIGITS: Final = "rtrim(replace(split_part(CAST(TRY_CAST({0} AS DOUBLE) AS VARCHAR), 'e', 1), '.', ''), '0')"
_ROUNDED: Final = {
    "DOUBLE": "CASE WHEN regexp_full_match({0}, '-?[0-9]+')"
    " THEN coalesce(TRY_CAST(TRY_CAST({0} AS DOUBLE) AS HUGEINT) != TRY_CAST({0} AS HUGEINT), true)"
    f" AND {_SHORTEST_DIGITS} != rtrim({{0}}, '0') END",
    "TIMESTAMP": "false",
}
_ADVICE: Final = "Change the column's type to VARCHAR or DECIMAL, which stays"


def check_large(
    database: duckdb.DuckDBPyConnection, table: _Table, batch: Mapping[str, str], sources: Sequence[Source]
) -> None:
    """Refuse whole numbers that a DOUBLE does not hold, and numbers and times that became infinite.

    Whole numbers of more than 20 digits outside the key are stored as the nearest DOUBLE, with a warning once a column.

    Args:
        database: the connection, within the transaction that has filled the table `batch`.
        table: the stream's table.
        batch: the column of `batch` of each property.
        sources: what `batch` was filled from.

    Raises:
        UnusableInput: If there is such a value.
    """
    columns = {name: column_type for name, column_type in table.read_columns.items() if column_type in _LARGE}
    if not columns:
        return
    conditions = ", ".join(_LARGE[column_type].format(batch[name]) for name, column_type in columns.items())
    found = database.execute(f"SELECT {conditions} FROM batch").fetchone() or ()  # noqa: S608 -- our names
    for (name, column_type), is_large in zip(columns.items(), found, strict=True):
        for source in sources if is_large else ():
            infinite, rounded, long = _changes(database, source, name, column_type)
            if infinite or rounded or (long and name in table.keys):
                where = f"{table.stream}, BATCH file {source.label}" if source.label else table.stream
                advice = f" {_ADVICE}, and load again." if column_type == "DOUBLE" else ""
                raise UnusableInput(f"{where}: a value of {name} does not fit the column's type {column_type}.{advice}")
            if long and name not in table.rounded:
                table.rounded.add(name)
                logger.warning(
                    "%s.%s: whole numbers of more than %d digits are rounded, as a DOUBLE holds 15 to 17. %s.",
                    *(table.stream, name, _MOST_DIGITS, _ADVICE),
                )


def _changes(
    database: duckdb.DuckDBPyConnection, source: Source, name: str, column_type: str
) -> tuple[bool, bool, bool]:
    """Return whether a value became infinite, a whole number of up to 20 digits was rounded, and a longer one."""
    value = f"record.{quoted(name)}"
    infinite, rounded = (conditions[column_type].format(value) for conditions in (_INFINITE, _ROUNDED))
    short = f"length(ltrim({value}, '-')) <= {_MOST_DIGITS}"
    selected = ", ".join(
        f"bool_or({part})" for part in (infinite, f"{rounded} AND {short}", f"{rounded} AND NOT {short}")
    )
    with source.opened() as (path, largest):
        records = read_records(source, path, largest, {name: "VARCHAR"})
        row = database.execute(f"SELECT {selected} FROM {records}").fetchone()  # noqa: S608 -- names are quoted
    first, second, third = map(bool, row or (False,) * 3)
    return first, second, third
