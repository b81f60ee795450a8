"""The targets that are tested: packages, settings, what they cannot do and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tests.targets.stores import in_csv, in_duckdb, in_json_lines, in_postgres, in_s3_json_lines, in_s3_parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.targets.stores import Services, Store

Types = dict[str, set[str]]


@dataclass(frozen=True)
class Target:
    """A target with the settings that the documentation recommends.

    Attributes:
        name: for the table.
        command: its executable.
        packages: what is installed; nothing for the loader of this project.
        store: opens the place that it writes to.
        settings: of the target, without the place.
        tap: settings of the tap for this target.
        types: the types of its columns by kind, as the information schema names them.
        appends: whether it only appends, so that the last row of a key is the current one.
        fails: for each check that fails, what is found.
        gone: what becomes of rows that the vendor no longer has, by ACTIVATE_VERSION, without and with `hard_delete`.
        notes: what a user has to know.
    """

    name: str
    command: str
    packages: tuple[str, ...]
    store: Callable[[Path, Services], AbstractContextManager[Store]]
    settings: dict[str, Any]
    types: Types
    tap: dict[str, Any] = field(default_factory=dict)
    appends: bool = False
    fails: Mapping[str, str] = field(default_factory=dict)
    gone: tuple[str, ...] = ("stays", "stays")
    notes: str = ""


FLAT: Final = {"flattening_enabled": True, "flattening_max_depth": 0}
BATCH: Final = {"batch_config": {"encoding": {"format": "jsonl", "compression": "gzip"}}}
_DUCKDB: Final[Types] = {
    "time": {"TIMESTAMP"},
    "object": {"JSON"},
    "array": {"JSON"},
    "text": {"VARCHAR"},
    "integer": {"BIGINT"},
    "number": {"DOUBLE"},
    "boolean": {"BOOLEAN"},
}
_POSTGRES: Final[Types] = {
    "time": {"timestamp without time zone"},
    "object": {"jsonb"},
    "array": {"ARRAY"},
    "text": {"text"},
    "integer": {"bigint"},
    "number": {"numeric"},
    "boolean": {"boolean"},
}
_AS_READ: Final[Types] = {**_DUCKDB, "time": {"TIMESTAMP WITH TIME ZONE"}}
_PARQUET: Final[Types] = {**_AS_READ, "object": {"VARCHAR"}, "array": {"VARCHAR"}}
_JSON_NULL: Final = {
    "nulls": "a null in an object column is the JSON value `null`, not SQL's NULL: ask for `NULLIF(extra, 'null')`"
}
_SCHEMA: Final = {"default_target_schema": "tap_cdp_export"}
_COPY: Final = {
    **_SCHEMA,
    "load_method": "upsert",
    "use_copy": True,
    "batch_size_rows": 10_000,
    "validate_records": False,
}
_S3: Final = {"compression": "none", "append_date_to_prefix": False, "append_date_to_filename_grain": "second"}

TARGETS: Final = (
    Target(
        "DuckDB, this project's",
        "tap-cdp-export-duckdb",
        (),
        in_duckdb,
        _SCHEMA,
        _DUCKDB,
        gone=("marked", "deleted"),
        notes="BATCH files are removed after their rows are committed. RECORD messages are as fast: "
        "it reads both with DuckDB's JSON reader.",
    ),
    Target(
        "DuckDB, this project's, BATCH",
        "tap-cdp-export-duckdb",
        (),
        in_duckdb,
        _SCHEMA,
        _DUCKDB,
        tap=BATCH,
        gone=("marked", "deleted"),
    ),
    Target(
        "PostgreSQL (meltanolabs)",
        "target-postgres",
        ("meltanolabs-target-postgres==0.8.1",),
        in_postgres,
        _COPY,
        _POSTGRES,
        fails=_JSON_NULL,
        gone=("marked", "deleted"),
        notes="`use_copy` is faster than INSERT.",
    ),
    Target(
        "PostgreSQL (meltanolabs), BATCH",
        "target-postgres",
        ("meltanolabs-target-postgres==0.8.1",),
        in_postgres,
        _COPY,
        _POSTGRES,
        tap=BATCH,
        fails=_JSON_NULL,
        gone=("marked", "deleted"),
        notes="The fastest settings for PostgreSQL. The target does not remove the files of BATCH messages: "
        "remove those of earlier days yourself, for example with `find /path/that/both/see -type f -mtime +2 -delete`.",
    ),
    Target(
        "PostgreSQL (pipelinewise)",
        "target-postgres",
        ("pipelinewise-target-postgres==2.1.2",),
        in_postgres,
        {**_SCHEMA, "batch_size_rows": 10_000},
        {
            "time": {"timestamp without time zone"},
            "object": {"jsonb"},
            "array": {"jsonb"},
            "text": {"character varying"},
            "integer": {"numeric"},
            "number": {"double precision"},
            "boolean": {"boolean"},
        },
        notes="Does not install on Python 3.13: its driver psycopg2-binary 2.9.5 has no wheel for it. "
        "Ends with an error at a BATCH message.",
    ),
    Target(
        "JSON lines",
        "target-jsonl",
        ("target-jsonl==0.1.4",),
        in_json_lines,
        {"do_timestamp_file": False},
        _AS_READ,
        appends=True,
        notes="Ends with an error at a BATCH message.",
    ),
    Target(
        "CSV (meltanolabs)",
        "target-csv",
        ("meltanolabs-target-csv==0.5.0",),
        in_csv,
        {},
        _AS_READ,
        tap=FLAT,
        appends=True,
        fails={
            "rows": "each run replaces the files, whatever `overwrite_behavior` says (the target declares it and never "
            "reads it), so the rows of earlier runs are gone while the state has moved on",
            "keys": "as for rows",
        },
    ),
    Target(
        "CSV (meltanolabs), a file per run",
        "target-csv",
        ("meltanolabs-target-csv==0.5.0",),
        in_csv,
        {"file_naming_scheme": "{stream_name}-{timestamp}.csv"},
        _AS_READ,
        tap=FLAT,
        appends=True,
        notes="A file for each stream and run, so nothing is replaced. "
        "An empty text and null are the same in a CSV file.",
    ),
    Target(
        "S3, JSON lines (plinxore)",
        "target-s3",
        ("plinxore-target-s3==0.1.7", "setuptools<81"),
        in_s3_json_lines,
        {"format": {"format_type": "jsonl"}, **_S3},
        _AS_READ,
        appends=True,
    ),
    Target(
        "S3, Parquet (plinxore)",
        "target-s3",
        ("plinxore-target-s3==0.1.7", "setuptools<81"),
        in_s3_parquet,
        {"format": {"format_type": "parquet"}, **_S3},
        _PARQUET,
        tap=FLAT,
        appends=True,
        fails={"times": "cut to whole seconds: the target's Parquet schema has no fractions"},
        notes="Without flattening it ends with an error, or never, at an object without declared properties.",
    ),
)
