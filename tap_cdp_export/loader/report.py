"""Print the tables of a DuckDB file: `python -m tap_cdp_export.loader.report output/cdp.duckdb`.

Only the package `duckdb` is required.
"""

from __future__ import annotations

import argparse
import sys
from typing import Final

import duckdb

_ROWS: Final = 3
_WIDTH: Final = 120
_COLUMN_WIDTH: Final = 26


def main(arguments: list[str] | None = None) -> int:
    """Print the number of rows of every table, and a few rows of each, as DuckDB prints them.

    Args:
        arguments: command-line arguments; by default those of the process.

    Returns:
        The exit code: 0, or 16 if the file cannot be read.
    """
    parser = argparse.ArgumentParser(prog="python -m tap_cdp_export.loader.report", description=main.__doc__)
    parser.add_argument("path", help="the database file")
    parser.add_argument("--schema", default="tap_cdp_export", help="the tables' schema (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        with duckdb.connect(options.path, read_only=True) as database:
            _print_tables(database, options.schema)
    except duckdb.Error as error:
        sys.stderr.write(f"{options.path} cannot be read: {error}\n")
        return 16
    return 0


def _print_tables(database: duckdb.DuckDBPyConnection, schema: str) -> None:
    names = database.execute(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = ? ORDER BY table_name", [schema]
    ).fetchall()
    if not names:
        sys.stdout.write(f"No table is in the schema {schema}.\n")
        return
    ((catalog,),) = database.execute("SELECT current_database()").fetchall()  # it may have the schema's name
    tables = {name: f"{_quoted(catalog)}.{_quoted(schema)}.{_quoted(name)}" for (name,) in names}
    counts = [f"SELECT {_text(name)} AS stream, count(*) AS rows FROM {table}" for name, table in tables.items()]  # noqa: S608 -- names are quoted
    database.sql(" UNION ALL ".join(counts)).show(max_rows=len(tables))
    for name, table in tables.items():
        sys.stdout.write(f"\n{name}\n")
        database.sql(f"FROM {table} LIMIT {_ROWS}").show(max_width=_WIDTH, max_col_width=_COLUMN_WIDTH)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


if __name__ == "__main__":
    sys.exit(main())
