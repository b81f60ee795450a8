"""Compare the main job's database with the sandbox's own counts; the sandbox's clock keeps running.

`python -m tests.targets.check_rows output/cdp.duckdb 2026-01-31T00:00:00Z`, with the time before the first run.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import duckdb

from tap_cdp_export.sandbox.options import Options
from tap_cdp_export.sandbox.population import Population
from tests.targets.loaded import KEYS, Loaded


def main(path: str, began: str) -> int:
    """Print each table's row count and its allowed range.

    Args:
        path: the DuckDB file.
        began: a time before the first run, RFC 3339.

    Returns:
        The exit code: 1 if a row was doubled or lost.
    """
    with duckdb.connect(path, read_only=True) as database:

        def query(sql: str) -> list[tuple[Any, ...]]:
            return database.execute(sql).fetchall()

        rows = Loaded("target-duckdb", query).count_rows()
        keys = {stream: len(Loaded("target-duckdb", query).column(stream, names[0])) for stream, names in KEYS.items()}
        ((start,),) = query("SELECT min(window_start) FROM tap_cdp_export.apsis_events")
        ((last_run,),) = query("SELECT max(window_end) FROM tap_cdp_export.accounts")
    books = [_books(_text(start), end) for end in (began, _text(last_run), _text(datetime.now(UTC)))]
    is_wrong = False
    for stream, number in rows.items():
        at_begin, at_last_run, now = (book[stream] for book in books)
        low, high = min(at_last_run, now), max(at_begin, now)
        is_right = low <= number <= high and number == keys[stream]
        is_wrong |= not is_right
        verdict = "as it should be" if is_right else "WRONG"
        sys.stdout.write(f"{stream}: {number} rows, {keys[stream]} keys, {low} to {high} expected: {verdict}\n")
    return int(is_wrong)


def _books(start: str, end: str) -> dict[str, int]:
    return Population(Options()).counts(start=start, end=end, at=end)


def _text(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
