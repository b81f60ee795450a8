"""The DuckDB loader of this project beside target-duckdb 0.8.0: the same lines of this tap, twice into one file.

The tap is not part of the measurement: its output is written to a file first. The first load inserts every row, the
second one updates it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

import duckdb

from tests.benchmarks.compare import Row, Table, say, undisturbed
from tests.benchmarks.processes import Failed, Variant, beside_python
from tests.benchmarks.server import serving
from tests.benchmarks.taps import OURS, STREAMS, TARGET_DUCKDB, variant
from tests.helpers.environments import NotInstallable, environment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.data import Part

OUR_LOADER: Final = "tap-cdp-export-duckdb"
_LOADS: Final = ("insert", "update")
_SETTINGS: Final = {
    OUR_LOADER: {},
    TARGET_DUCKDB: {"add_metadata_columns": True, "batch_size_rows": 10_000},  # without the columns it loses rows
}


def loaders(part: Part, folder: Path, *, rounds: int, alone: bool = False) -> Table:
    """Load the tap's output with each loader, alternately.

    Args:
        part: what the tap reads.
        folder: for the files.
        rounds: how often each loader is timed.
        alone: whether to leave target-duckdb out.

    Returns:
        The table.

    Raises:
        Failed: If the loaders do not load the same number of rows.
    """
    folder = folder / f"{part.kind}-{part.repeats}"
    lines = write_lines(part, folder)
    programs = {OUR_LOADER: beside_python(OUR_LOADER)}
    table = Table(f"loaders-{part.kind}", f"loading {part.kind} into DuckDB", part.plain_bytes, [])
    if part.repeats:
        table.name, table.title = f"{table.name}-{part.repeats}", f"{table.title}, {part.repeats} x"
    try:
        if not alone:
            programs[TARGET_DUCKDB] = str(environment("target-duckdb==0.8.0", "duckdb<1.3") / "target-duckdb")
    except NotInstallable as error:
        table.notes.append(f"{TARGET_DUCKDB} is not installable here: {error}")
    table.rows = [Row(f"{name}, {load}") for name in programs for load in _LOADS]
    rows = {row.name: row for row in table.rows}
    for number in range(rounds):
        found = set()
        for name, program in programs.items():
            path = folder / "loaded" / "t.duckdb"
            shutil.rmtree(path.parent, ignore_errors=True)
            path.parent.mkdir()
            for load in _LOADS:
                row = rows[f"{name}, {load}"]
                row.runs.append(undisturbed(loading(name, program, path, lines)))
                counts = rows_of(path, STREAMS[part.kind])
                row.records = sum(counts)
                found.add(counts)
                say(f"{table.name}: round {number + 1} of {rounds}, {row.name}: {row.runs[-1]}")
        if len(found) != 1:
            raise Failed(f"The loaders did not load the same rows: {found}.")
    return table


def write_lines(part: Part, folder: Path) -> Path:
    """Write the tap's output to a file.

    Args:
        part: what the tap reads.
        folder: a new folder.

    Returns:
        The file.
    """
    folder.mkdir(parents=True)
    lines = folder / "lines.jsonl"
    with serving(part) as url, lines.open("wb") as output:
        subprocess.run(variant(OURS, part, url, folder / "tap").command, stdout=output, check=True)
    return lines


def loading(name: str, program: str, path: Path, lines: Path) -> Variant:
    """Prepare the command that loads a file of messages.

    Args:
        name: of the loader.
        program: its command.
        path: of the database.
        lines: the messages.

    Returns:
        The command.
    """
    config = path.with_name("config.json")
    config.write_text(json.dumps({"path": str(path), "default_target_schema": "loaded", **_SETTINGS[name]}))
    return Variant(name, ("sh", "-c", 'exec "$0" --config "$1" <"$2"', program, str(config), str(lines)))


def rows_of(path: Path, streams: tuple[str, ...]) -> tuple[int, ...]:
    """Count the rows of each stream's table.

    Args:
        path: of the database.
        streams: their names.

    Returns:
        The numbers of rows, in their order.
    """
    with duckdb.connect(str(path), read_only=True) as database:
        counts = [database.execute(f"SELECT count(*) FROM loaded.{stream}").fetchone() for stream in streams]  # noqa: S608 -- our names
    return tuple(int(row[0]) for row in counts if row)
