"""Load messages in this process, or by the command, and read the tables back."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

import duckdb

from tap_cdp_export.loader.database import opened
from tap_cdp_export.loader.loader import Loader
from tap_cdp_export.loader.target import TargetDuckDB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

Message = dict[str, Any] | bytes
TEXT = {"type": ["string", "null"]}
INTEGER = {"type": ["integer", "null"]}


def schema(keys: list[str], stream: str = "t", **properties: Any) -> dict[str, Any]:
    """A SCHEMA message."""
    inner = {"type": "object", "properties": properties}
    return {"type": "SCHEMA", "stream": stream, "schema": inner, "key_properties": keys}


def record(stream: str = "t", **values: Any) -> dict[str, Any]:
    """A RECORD message."""
    return {"type": "RECORD", "stream": stream, "record": values}


def versioned(version: int, **values: Any) -> dict[str, Any]:
    """A RECORD message with a version of its table."""
    return {**record(**values), "version": version}


def state(value: Any) -> dict[str, Any]:
    """A STATE message."""
    return {"type": "STATE", "value": value}


def activate(version: int, stream: str = "t") -> dict[str, Any]:
    """An ACTIVATE_VERSION message."""
    return {"type": "ACTIVATE_VERSION", "stream": stream, "version": version}


def as_lines(messages: Iterable[Message]) -> list[bytes]:
    """Serialize messages, except for those that are lines already."""
    return list(_lines(messages))


def _lines(messages: Iterable[Message]) -> Iterator[bytes]:
    for message in messages:
        yield message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n"


@dataclass
class Warehouse:
    """A database file and what loads into it returned.

    Attributes:
        path: of the file.
        config: further settings.
        states: all states that were passed on, in order.
    """

    path: Path
    config: dict[str, Any] = field(default_factory=dict)
    states: list[Any] = field(default_factory=list)

    def load(self, *messages: Message, **config: Any) -> None:
        """Load messages in this process."""
        self.load_each(messages, **config)

    def load_each(self, messages: Iterable[Message], **config: Any) -> None:
        """Load messages in this process, which are made one by one."""
        settings = {"path": str(self.path), "default_target_schema": "s", **self.config, **config}
        target = TargetDuckDB(config=settings, setup_mapper=False)
        output = BytesIO()
        try:
            with opened(settings["path"]) as database:
                Loader(database, target.config, output, logging.getLogger("test")).load(_lines(messages))
        finally:
            self.states += [json.loads(line) for line in output.getvalue().splitlines()]

    def command(self, **config: Any) -> list[str]:
        """The command line that loads into this file."""
        settings = self.path.parents[2] / "config.json"
        settings.write_text(json.dumps({"path": str(self.path), "default_target_schema": "s", **self.config, **config}))
        return [sys.executable, "-m", "tap_cdp_export.loader", "--config", str(settings)]

    def run(self, *messages: Message) -> subprocess.CompletedProcess[bytes]:
        """Load messages by the command."""
        content = b"".join(as_lines(messages))
        return subprocess.run(self.command(), input=content, capture_output=True, check=False, timeout=60)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a query."""
        with duckdb.connect(str(self.path), read_only=True) as database:
            return database.execute(sql).fetchall()

    def rows(self, columns: str = "*", table: str = "t") -> list[tuple[Any, ...]]:
        """Read a table, sorted."""
        return self.query(f'SELECT {columns} FROM s."{table}" ORDER BY ALL')  # noqa: S608 -- our names

    def types(self, table: str = "t") -> dict[str, str]:
        """Read the columns and their types."""
        return {name: column_type for name, column_type, *_ in self.query(f'DESCRIBE s."{table}"')}
