"""The queries of the cookbook, their results on the page, and the sandbox's data that they are run over."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import duckdb

from tap_cdp_export.sandbox.options import Options, PopulationOptions
from tap_cdp_export.sandbox.server import Sandbox
from tests.helpers.about import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

PAGE: Final = ROOT / "docs" / "cookbook.md"
SCHEMA: Final = "tap_cdp_export"
NOW: Final = "2026-11-10T12:00:00Z"
_QUERY: Final = re.compile(r"^```sql\n(?!SET )(.*?)\n```\n(?:\n((?:\|[^\n]*\n)+))?", re.DOTALL | re.MULTILINE)


class Result(NamedTuple):
    """Names of the columns, and the rows."""

    names: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def markdown(self) -> str:
        """Format it as the table of a page."""
        lines = [self.names, ("---",) * len(self.names), *(map(_cell, row) for row in self.rows)]
        return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


class Recipe(NamedTuple):
    """A query of the page, and the table below it."""

    query: str
    table: str


def recipes(page: str) -> list[Recipe]:
    """Find the queries of a page."""
    return [Recipe(query, table or "") for query, table in _QUERY.findall(page)]


def renewed(page: str, results: Iterable[Result]) -> str:
    """Write the results below the queries of a page."""
    tables = iter(results)
    return _QUERY.sub(lambda found: f"```sql\n{found[1]}\n```\n\n{next(tables).markdown()}", page)


def load(folder: Path) -> Path:
    """Load the sandbox, at a fixed time, with the commands that users have.

    Args:
        folder: for the files.

    Returns:
        The DuckDB file.
    """
    database, config, target = (folder / name for name in ("cdp.duckdb", "config.json", "target.json"))
    target.write_text(json.dumps({"path": str(database), "default_target_schema": SCHEMA}))
    with Sandbox(Options(population=PopulationOptions(now=NOW))) as sandbox:
        settings = sandbox.settings() | {"end_date": NOW}  # else `window_end` is the machine's time
        for vendor in ("personalization", "apsis", "braze"):
            settings[vendor]["tables"] = ["*"]
        config.write_text(json.dumps(settings))
        modules = (("tap_cdp_export", config), ("tap_cdp_export.loader", target))
        tap, loader = ((sys.executable, "-m", module, "--config", str(path)) for module, path in modules)
        exported = subprocess.run(tap, capture_output=True, check=True)
    subprocess.run(loader, input=exported.stdout, capture_output=True, check=True)
    return database


def run(database: Path, queries: Sequence[str]) -> list[Result]:
    """Run queries on DuckDB."""
    with duckdb.connect(str(database), read_only=True) as connection:
        connection.execute(f"SET search_path = '{SCHEMA}'")
        cursors = [connection.cursor().execute(f"SET search_path = '{SCHEMA}'").execute(query) for query in queries]
        return [
            Result(tuple(column[0] for column in cursor.description or ()), cursor.fetchall()) for cursor in cursors
        ]


def _cell(value: Any) -> str:
    return "" if value is None else str(value).replace("|", "\\|")
