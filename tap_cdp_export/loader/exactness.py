"""Find values that DuckDB's reader has changed without an error: rounded whole numbers, and infinity.

They show in what was read: such a number is large, and a time is infinite. Only then are the sources read again, as
text, because reading all numbers as text is slower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tap_cdp_export.loader.errors import UnusableInput
from tap_cdp_export.loader.statements import quoted, read_records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

    from tap_cdp_export.loader.sources import Source

_DIGITS_OF_64_BITS: Final = 20
_LARGE: Final = {
    "DOUBLE": f"max(abs({{0}})) FILTER (NOT isnan({{0}})) > {2**53 - 1}",
    "TIMESTAMP": "isinf(max({0})) OR isinf(min({0}))",
}
_CHANGED: Final = {
    "DOUBLE": (
        "isinf({0}::DOUBLE) AND regexp_matches({0}, '[0-9]')"
        f" OR CASE WHEN regexp_full_match({{0}}, '-?[0-9]{{{{1,{_DIGITS_OF_64_BITS}}}}}')"
        " THEN {0}::DOUBLE::HUGEINT != {0}::HUGEINT END"
    ),
    "TIMESTAMP": "isinf({0}::TIMESTAMPTZ)",
}
_ADVICE: Final = {
    "DOUBLE": (
        " It would be rounded or infinite: change the column's type to VARCHAR or DECIMAL, which stays, and load again."
    ),
    "TIMESTAMP": "",
}


def check_large(
    database: duckdb.DuckDBPyConnection,
    stream: str,
    columns: Mapping[str, str],
    batch: Mapping[str, str],
    sources: Sequence[Source],
) -> None:
    """Refuse whole numbers of up to 64 bits that a DOUBLE does not hold, and numbers and times that became infinite.

    Longer whole numbers are stored as the nearest DOUBLE.

    Args:
        database: the connection, within the transaction that has filled the table `batch`.
        stream: name of the stream, for an error message.
        columns: name and type of each property.
        batch: name and column of `batch` of each property.
        sources: what `batch` was filled from.

    Raises:
        UnusableInput: If there is such a value.
    """
    checked = {name: column_type for name, column_type in columns.items() if column_type in _LARGE}
    if not checked:
        return
    conditions = ", ".join(_LARGE[column_type].format(batch[name]) for name, column_type in checked.items())
    found = database.execute(f"SELECT {conditions} FROM batch").fetchone() or ()  # noqa: S608 -- our names
    for (name, column_type), is_large in zip(checked.items(), found, strict=True):
        if not is_large:
            continue
        changed = _CHANGED[column_type].format(f"record.{quoted(name)}")
        for source in sources:
            with source.opened() as (path, largest):
                records = read_records(source, path, largest, {name: "VARCHAR"})
                row = database.execute(f"SELECT bool_or({changed}) FROM {records}").fetchone()  # noqa: S608 -- names are quoted
            if row and row[0]:
                where = f"{stream}, BATCH file {source.label}" if source.label else stream
                raise UnusableInput(
                    f"{where}: a value of {name} does not fit the column's type {column_type}.{_ADVICE[column_type]}"
                )
