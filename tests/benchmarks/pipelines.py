"""Whole pipelines: `meltano run` from the benchmarks' server into real databases and files.

The rows of every load are counted. A second, tiny load measures the start-up time of Meltano and both plugins.
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg
from ruamel.yaml import YAML

from tests.benchmarks.compare import Row, Table, say, undisturbed
from tests.benchmarks.data import Part
from tests.benchmarks.loaders import loading, rows_of, write_lines
from tests.benchmarks.processes import Failed, Run
from tests.benchmarks.server import serving
from tests.benchmarks.taps import ALONE, STREAMS, TARGET_DUCKDB, our_settings
from tests.helpers.environments import environment
from tests.targets.meltano_project import MeltanoProject, as_environment
from tests.targets.postgres_server import postgres_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FEW: Final = Part("users", 100, 100)
_NOTHING: Final = "meltano run, a loader that discards everything"


@dataclass(frozen=True)
class _Pipeline:
    """One loader configuration.

    Attributes:
        name: for the table.
        target: name of the loader.
        settings: its environment variables.
        in_batches: whether the tap sends BATCH messages.
    """

    name: str
    target: str
    settings: dict[str, str] = field(default_factory=dict)
    in_batches: bool = False


def _copying(rows: int) -> dict[str, str]:
    return {"TARGET_POSTGRES_USE_COPY": "true", "TARGET_POSTGRES_BATCH_SIZE_ROWS": str(rows)}


_PIPELINES: Final = (
    _Pipeline("JSON lines", "target-jsonl"),
    _Pipeline("DuckDB", "target-duckdb"),
    _Pipeline("DuckDB, BATCH messages", "target-duckdb", in_batches=True),
    _Pipeline("PostgreSQL, INSERT, 10,000 rows a batch", "target-postgres", {"TARGET_POSTGRES_USE_COPY": "false"}),
    _Pipeline("PostgreSQL, COPY, 10,000 rows a batch", "target-postgres", _copying(10_000)),
    _Pipeline("PostgreSQL, COPY, 50,000 rows a batch", "target-postgres", _copying(50_000)),
    _Pipeline("PostgreSQL, COPY, BATCH messages", "target-postgres", _copying(10_000), in_batches=True),
)


def pipelines(part: Part, *, rounds: int) -> Table:
    """Load users through every pipeline, alternately.

    Args:
        part: the users.
        rounds: how often each pipeline runs.

    Returns:
        The table; its notes say how long a load of 100 users takes.

    Raises:
        Failed: If a load fails, or loads an unexpected number of rows.
    """
    part.ensure()
    table = Table(
        "pipelines", "users through `meltano run`", part.plain_bytes, [Row(pipeline.name) for pipeline in _PIPELINES]
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        postgres_server() as server,
        serving(part) as url,
        serving(_FEW) as few_url,
    ):
        project = MeltanoProject(Path(folder))
        for number in range(rounds + 1):
            for pipeline, row in zip(_PIPELINES, table.rows, strict=True):
                few = number == 0  # the first load also installs the plugins
                run, rows = _load(project, pipeline, server, *((_FEW, few_url) if few else (part, url)))
                if rows != _expected(pipeline, _FEW if few else part):
                    raise Failed(f"{pipeline.name}: {rows} rows in the table.")
                say(f"pipelines: {pipeline.name}: {rows} rows in {run.seconds:.1f} s")
                if not few:
                    row.runs.append(run)
                    row.records = rows
        run, _ = _load(project, _PIPELINES[0], server, _FEW, few_url)
    table.notes.append(
        f"100 users to JSON lines take {run.seconds:.1f} s: Meltano itself, and the start of both plugins."
    )
    return table


def whole(part: Part, folder: Path, *, rounds: int) -> Table:
    """Compare `meltano run` into DuckDB with target-duckdb alone, which reads the tap's output from a file.

    A loader that discards everything shows what Meltano and the tap take: no loader can be faster.

    Args:
        part: what the tap reads.
        folder: for the files.
        rounds: how often each is timed.

    Returns:
        The table; its rows are this project's pipeline, the one that discards everything, and target-duckdb.

    Raises:
        Failed: If a load fails, or the numbers of rows differ.
    """
    part.ensure()
    lines = write_lines(part, folder / f"whole-{part.kind}-{part.repeats}")
    old = str(environment("target-duckdb==0.8.0", "duckdb<1.3") / "target-duckdb")
    table = Table(f"whole-{part.kind}-{part.repeats}", f"{part.kind} into DuckDB", part.plain_bytes, [])
    table.rows = [Row(name) for name in ("meltano run, DuckDB of this project", _NOTHING, ALONE)]
    with tempfile.TemporaryDirectory() as name, serving(part) as url, serving(_FEW) as few_url:
        project = MeltanoProject(Path(name))
        _add_nothing(project)
        pipelines = (_Pipeline("", "target-duckdb"), _Pipeline("", "target-nothing"))
        for pipeline in pipelines:  # the first load also installs the plugins
            _load(project, pipeline, {}, _FEW, few_url)
        for number in range(rounds):
            counts = []
            for pipeline, row in zip(pipelines, table.rows, strict=False):
                run, rows = _load(project, pipeline, {}, part, url)
                row.runs.append(run)
                counts += [rows] if rows else []
            path = Path(name, f"{number}.duckdb")
            table.rows[2].runs.append(undisturbed(loading(TARGET_DUCKDB, old, path, lines)))
            counts.append(sum(rows_of(path, STREAMS[part.kind])))
            if len(set(counts)) > 1:
                raise Failed(f"The loads did not end with the same number of rows: {counts}.")
            for row in table.rows:
                row.records = counts[0]
                say(f"{table.name}: round {number + 1} of {rounds}, {row.name}: {row.runs[-1]}")
    return table


def _add_nothing(project: MeltanoProject) -> None:
    """Add a loader that discards its input and emits no state."""
    program = project.folder / "nothing.sh"
    program.write_text("#!/bin/sh\nexec cat >/dev/null\n")
    program.chmod(0o755)
    yaml = YAML()
    path = project.folder / "meltano.yml"
    document = yaml.load(path)
    document["plugins"]["loaders"].append(
        {"name": "target-nothing", "namespace": "target_nothing", "executable": str(program)}
    )
    yaml.dump(document, path)


def _expected(pipeline: _Pipeline, part: Part) -> int:
    """Return the expected number of rows: the vendor sends some users twice, and a table holds each once."""
    names = [user["name"] for path in part.files() for user in json.loads(path.read_bytes())]
    return len(names if pipeline.target == "target-jsonl" else set(names))


def _load(
    project: MeltanoProject, pipeline: _Pipeline, server: dict[str, object], part: Part, url: str
) -> tuple[Run, int]:
    """Load once into an empty destination; return the measurement and the number of rows."""
    with (
        tempfile.TemporaryDirectory() as folder,
        _destination(pipeline.target, STREAMS[part.kind], Path(folder), server) as (variables, count),
    ):
        environment = {
            **as_environment(our_settings(part, url)),
            "TAP_CDP_EXPORT__SELECT": json.dumps([f"{stream}.*" for stream in STREAMS[part.kind]]),
            **variables,
            **pipeline.settings,
        }
        if pipeline.in_batches:
            environment["TAP_CDP_EXPORT_BATCH_CONFIG_STORAGE_ROOT"] = Path(folder).as_uri()
            environment["TAP_CDP_EXPORT_BATCH_CONFIG_ENCODING_FORMAT"] = "jsonl"
            environment["TAP_CDP_EXPORT_BATCH_CONFIG_ENCODING_COMPRESSION"] = "gzip"
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.monotonic()
        process = project.meltano("run", "--full-refresh", "tap-cdp-export", pipeline.target, **environment)
        seconds = time.monotonic() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if process.returncode:
            raise Failed(f"{pipeline.name} ended with {process.returncode}: {process.stderr[-2000:]}")
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Run(seconds, processor, 0.0, 0.0), count()


@contextmanager
def _destination(
    target: str, streams: tuple[str, ...], folder: Path, server: dict[str, object]
) -> Iterator[tuple[dict[str, str], Callable[[], int]]]:
    """Create an empty destination; yield its environment variables and a function that counts its rows."""
    if target == "target-jsonl":
        yield {"TARGET_JSONL_DESTINATION_PATH": str(folder)}, lambda: _lines(folder / "users.jsonl")
    elif target == "target-duckdb":
        path = str(folder / "cdp.duckdb")
        variables = {"TARGET_DUCKDB_PATH": path, "TARGET_DUCKDB_DEFAULT_TARGET_SCHEMA": "loaded"}
        yield variables, lambda: sum(rows_of(Path(path), streams))
    elif target == "target-nothing":
        yield {}, lambda: 0
    else:
        names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "DATABASE"}
        variables = {f"TARGET_POSTGRES_{names[key]}": str(value) for key, value in server.items()}
        variables["TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA"] = "loaded"
        with psycopg.connect(**server, autocommit=True) as database:  # type: ignore[arg-type]
            database.execute("DROP SCHEMA IF EXISTS loaded CASCADE")

            def count() -> int:
                row = database.execute("SELECT count(*) FROM loaded.users").fetchone()
                return int(row[0]) if row else 0

            yield variables, count


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)
