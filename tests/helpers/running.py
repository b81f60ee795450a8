"""Run the command in a process, and load its output as an upserting target does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = dict[str, Any]


@dataclass
class Run:
    """Result of a run.

    Attributes:
        exit_code: exit code of the process.
        messages: messages on stdout.
        log: text on stderr.
    """

    exit_code: int
    messages: list[dict[str, Any]]
    log: str

    @property
    def last_line(self) -> str:
        """The last line of the log."""
        return self.log.strip().rpartition("\n")[2]

    @property
    def states(self) -> list[dict[str, Any]]:
        """The values of all STATE messages, in order."""
        return [message["value"] for message in self.messages if message["type"] == "STATE"]

    def records(self, stream: str) -> list[Row]:
        """All records of a stream, in order."""
        return [m["record"] for m in self.messages if m["type"] == "RECORD" and m["stream"] == stream]


@dataclass
class Warehouse:
    """The tables of a target that upserts by primary key; the later record wins."""

    tables: dict[str, dict[tuple[Any, ...], Row]] = field(default_factory=dict)

    def load(self, run: Run) -> None:
        """Upsert the records of a run."""
        keys: dict[str, list[str]] = {}
        for message in run.messages:
            if message["type"] == "SCHEMA":
                keys[message["stream"]] = message["key_properties"]
            elif message["type"] == "RECORD":
                row = message["record"]
                table = self.tables.setdefault(message["stream"], {})
                table[tuple(row[name] for name in keys[message["stream"]])] = row

    @property
    def counts(self) -> dict[str, int]:
        """Rows by table."""
        return {name: len(rows) for name, rows in self.tables.items()}


def run_tap(
    settings: dict[str, Any],
    *options: str,
    state: dict[str, Any] | None = None,
    catalog: dict[str, Any] | None = None,
    environment: dict[str, str] | None = None,
) -> Run:
    """Run the command and wait for its end.

    Args:
        settings: content of the settings file.
        options: further command-line options; with any, stdout is appended to the log.
        state: content of the state file.
        catalog: content of the catalog file.
        environment: further environment variables.

    Returns:
        The result.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tap_cdp_export"]
        for name, content in (("config", settings), ("state", state), ("catalog", catalog)):
            if content is not None:
                path = Path(folder, f"{name}.json")
                path.write_text(json.dumps(content))
                command += [f"--{name}", str(path)]
        process = subprocess.run(
            [*command, *options],
            capture_output=True,
            check=False,
            timeout=120,
            env={**os.environ, **(environment or {})},
        )
    is_singer = not options
    messages = [json.loads(line) for line in process.stdout.splitlines()] if is_singer else []
    log = process.stderr.decode() + ("" if is_singer else process.stdout.decode())
    return Run(process.returncode, messages, log)


def vendor(settings: dict[str, Any], name: str, **changes: Any) -> dict[str, Any]:
    """Remove all vendors but one from settings.

    Args:
        settings: settings of the sandbox.
        name: the vendor to keep.
        changes: changes of the settings of that vendor.

    Returns:
        The new settings.
    """
    common = {key: value for key, value in settings.items() if not isinstance(value, dict)}
    return {**common, name: {**settings[name], **changes}}
