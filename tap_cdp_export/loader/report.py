"""Print the tables of a DuckDB file: `python -m tap_cdp_export.loader.report output/cdp.duckdb`.

Only the package `duckdb` is required.
"""

from __future__ import annotations

import argparse
import sys

import duckdb

_ROWS = 3
_COLUMNS = 5
_WIDTH = 24


def main(arguments: list[str] | None = None) -> int:
    """Print every table of the tap's schema: its rows, their number, and a few of them.

    Args:
        arguments: command-line arguments; by default those of the process.

    Returns:
        The exit code: 0, or 1 if the file cannot be read.
    """
    parser = argparse.ArgumentParser(prog="python -m tap_cdp_export.loader.report", description=main.__doc__)
    parser.add_argument("path", help="the database file")
    parser.add_argument("--schema", default="tap_cdp_export", help="the tables' schema (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        with duckdb.connect(options.path, read_only=True) as database:
            text = report(database, options.schema)
    except duckdb.Error as error:
        sys.stderr.write(f"{options.path} cannot be read: {error}\n")
        return 1
    sys.stdout.write(f"\n{options.path}\n{text}")
    return 0


def report(database: duckdb.DuckDBPyConnection, schema: str) -> str:
    """Describe the tables of a schema.

    Args:
        database: an open connection.
        schema: name of the schema.

    Returns:
        A table of the row counts, followed by the first rows of each table.
    """
    tables = _names(
        database,
        "SELECT table_name FROM information_schema.tables WHERE table_schema = ? ORDER BY table_name",
        [schema],
    )
    parts = [_table(["stream", "rows"], [[name, f"{_count(database, schema, name):,}"] for name in tables])]
    parts += [f"{name}\n{_first_rows(database, schema, name)}" for name in tables]
    return "\n" + "\n".join(parts)


def _count(database: duckdb.DuckDBPyConnection, schema: str, name: str) -> int:
    row = database.execute(f'SELECT count(*) FROM "{schema}"."{name}"').fetchone()  # noqa: S608 -- names from the database catalog
    return int(row[0]) if row else 0


def _first_rows(database: duckdb.DuckDBPyConnection, schema: str, name: str) -> str:
    """Format the first rows: key columns first, then other columns with values, at most `_COLUMNS` in total."""
    columns = _names(
        database,
        "SELECT unnest(constraint_column_names) FROM duckdb_constraints()"
        " WHERE constraint_type = 'PRIMARY KEY' AND schema_name = ? AND table_name = ?"
        " UNION ALL SELECT * FROM (SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = ? AND table_name = ? AND NOT starts_with(column_name, '_sdc_')"
        " ORDER BY ordinal_position)",
        [schema, name, schema, name],
    )
    column_list = ", ".join(f'"{column}"' for column in columns)
    rows = database.execute(f'SELECT {column_list} FROM "{schema}"."{name}" LIMIT {_ROWS}').fetchall()  # noqa: S608
    indexes = [index for index in range(len(columns)) if any(row[index] not in _EMPTY for row in rows)][:_COLUMNS]
    return _table([columns[index] for index in indexes], [[_cell(row[index]) for index in indexes] for row in rows])


def _names(database: duckdb.DuckDBPyConnection, query: str, values: list[str]) -> list[str]:
    """Run a query that selects names, and return them without repeats."""
    return list(dict.fromkeys(name for (name,) in database.execute(query, values).fetchall()))


_EMPTY = (None, "", "{}", "[]")


def _cell(value: object) -> str:
    text = "" if value is None else " ".join(str(value).split())
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _table(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    return "".join("  " + "  ".join(map(str.ljust, line, widths)).rstrip() + "\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
