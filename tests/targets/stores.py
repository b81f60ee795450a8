"""Where the tested targets write to, each queried with SQL: databases themselves, files through DuckDB."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import boto3  # type: ignore[import-untyped]
import duckdb
import psycopg
from moto.server import ThreadedMotoServer

from tests.targets.loaded import KEYS
from tests.targets.postgres_server import postgres_server
from tests.targets.streams import columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack
    from pathlib import Path

Rows = list[tuple[Any, ...]]
BUCKET: Final = "lake"
_READ_AS: Final = {
    "time": "TIMESTAMPTZ",
    "object": "JSON",
    "array": "JSON",
    "text": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
}


@dataclass
class Store:
    """A place that one target writes to.

    Attributes:
        settings: the part of the target's settings that says where it is.
        query: runs SQL; the tables are in the schema `tap_cdp_export`.
        refresh: makes the tables show what the files hold after a run.
        lines: the number of stored records of each stream, for a target that only appends.
    """

    settings: dict[str, Any]
    query: Callable[[str], Rows]
    refresh: Callable[[], None] = lambda: None
    lines: dict[str, int] = field(default_factory=dict)


@dataclass
class Services:
    """Servers that are started when the first target needs them.

    Attributes:
        stack: ends them.
    """

    stack: ExitStack

    @cached_property
    def postgres(self) -> dict[str, Any]:
        """Connection settings of a PostgreSQL server."""
        return self.stack.enter_context(postgres_server())

    @cached_property
    def s3(self) -> tuple[str, Any]:
        """Address of an emulator of S3, and a client."""
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        self.stack.callback(server.stop)
        address = "http://{}:{}".format(*server.get_host_and_port())
        client = boto3.client(
            "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y"
        )
        client.create_bucket(Bucket=BUCKET)
        return address, client


@contextmanager
def in_duckdb(folder: Path, _services: Services) -> Iterator[Store]:
    """A DuckDB file."""
    path = str(folder / "cdp.duckdb")

    def query(sql: str) -> Rows:
        with duckdb.connect(path, read_only=True) as database:
            return database.execute(sql).fetchall()

    yield Store({"path": path}, query)


@contextmanager
def in_postgres(folder: Path, services: Services) -> Iterator[Store]:
    """A PostgreSQL database of its own."""
    name = folder.name.replace("-", "_")
    settings = {**services.postgres, "dbname": name}
    with psycopg.connect(**services.postgres, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"'.encode())
    with psycopg.connect(**settings, autocommit=True, options="-c TimeZone=UTC") as database:

        def query(sql: str) -> Rows:
            return database.execute(sql.encode()).fetchall()

        yield Store({**settings, "database": name}, query)


@contextmanager
def in_json_lines(folder: Path, _services: Services) -> Iterator[Store]:
    """A folder with one file of JSON lines per stream."""
    yield _files(folder, {"destination_path": str(folder)}, _read_json, "{stream}.jsonl")


@contextmanager
def in_csv(folder: Path, _services: Services) -> Iterator[Store]:
    """A folder with CSV files."""
    yield _files(folder, {"output_path": str(folder)}, _read_csv, "{stream}*.csv")


@contextmanager
def in_s3_json_lines(folder: Path, services: Services) -> Iterator[Store]:
    """A bucket with JSON lines."""
    yield _objects(folder, services, _read_json, "{stream}/*.jsonl")


@contextmanager
def in_s3_parquet(folder: Path, services: Services) -> Iterator[Store]:
    """A bucket with Parquet files."""
    yield _objects(folder, services, lambda path, _stream: f"read_parquet('{path}')", "{stream}/*.parquet")


def _read_json(path: str, stream: str) -> str:
    return f"read_json('{path}', format='newline_delimited', columns={_struct(stream)})"


def _read_csv(path: str, stream: str) -> str:
    return f"read_csv('{path}', header=true, auto_detect=false, quote='\"', escape='\"', columns={_struct(stream)})"


def _struct(stream: str) -> str:
    return json.dumps({name: _READ_AS[kind] for name, kind in columns(stream).items()})


def _files(folder: Path, settings: dict[str, Any], read: Callable[[str, str], str], pattern: str) -> Store:
    """Tables over files: of the rows with one key, the one that was written last."""
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'; CREATE SCHEMA tap_cdp_export")

    def refresh() -> None:
        for stream, keys in KEYS.items():
            source = read(f"{folder}/{pattern.format(stream=stream)}", stream)
            numbered = f"SELECT *, row_number() OVER () AS line FROM {source}"  # noqa: S608 -- our names
            database.execute(f"CREATE OR REPLACE TEMP TABLE lines AS {numbered}")
            ((store.lines[stream],),) = database.execute("SELECT count(*) FROM lines").fetchall()
            last = f"row_number() OVER (PARTITION BY {', '.join(keys)} ORDER BY line DESC) = 1"
            current = f"SELECT * EXCLUDE line FROM lines QUALIFY {last}"  # noqa: S608 -- our names
            database.execute(f"CREATE OR REPLACE TABLE tap_cdp_export.{stream} AS {current}")

    store = Store(settings, lambda sql: database.execute(sql).fetchall(), refresh)
    return store


def _objects(folder: Path, services: Services, read: Callable[[str, str], str], pattern: str) -> Store:
    """Tables over the objects of a bucket."""
    address, client = services.s3
    aws = {
        "aws_region": "us-east-1",
        "aws_bucket": BUCKET,
        "aws_access_key_id": "x",
        "aws_secret_access_key": "y",
        "aws_endpoint_override": address,
    }
    settings = {"prefix": folder.name, "cloud_provider": {"cloud_provider_type": "aws", "aws": aws}}
    store = _files(folder, settings, read, pattern)
    refresh = store.refresh

    def download() -> None:
        for item in client.list_objects_v2(Bucket=BUCKET, Prefix=f"{folder.name}/")["Contents"]:
            path = folder.parent / item["Key"]
            path.parent.mkdir(parents=True, exist_ok=True)
            client.download_file(BUCKET, item["Key"], str(path))
        refresh()

    store.refresh = download
    return store
