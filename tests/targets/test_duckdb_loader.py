"""The DuckDB loader keeps values that target-duckdb alone would lose."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    from pathlib import Path

TEXT = {"type": ["string", "null"]}


def load(folder: Path, records: list[dict[str, Any]], keys: list[str], name: str = "t.duckdb") -> list[tuple[Any, ...]]:
    """Load records that have only text columns, and read them back in order."""
    names = list(records[0])
    schema = {"type": "SCHEMA", "stream": "t", "schema": {"properties": dict.fromkeys(names, TEXT)}}
    messages = [{**schema, "key_properties": keys}]
    messages += [{"type": "RECORD", "stream": "t", "record": record} for record in records]
    path, config, lines = folder / name, folder / "config.json", folder / "messages.jsonl"
    config.write_text(json.dumps({"path": str(path), "default_target_schema": "s", "primary_key_required": False}))
    lines.write_text("".join(f"{json.dumps(message)}\n" for message in messages))
    program = "from tap_cdp_export.loader.loader import main; main()"
    with lines.open() as stdin:
        command = [sys.executable, "-c", program, "--config", str(config)]
        subprocess.run(command, stdin=stdin, check=True, capture_output=True)
    with duckdb.connect(str(path), read_only=True) as database:
        columns = ", ".join(names)
        return database.execute(f"SELECT {columns} FROM s.t ORDER BY rowid").fetchall()  # noqa: S608 -- our names


def test_an_empty_text_in_a_key_is_no_null(tmp_path: Path) -> None:
    records = [{"k": "1", "part": ""}, {"k": "1", "part": "2"}]
    assert load(tmp_path, records, ["k", "part"]) == [("1", ""), ("1", "2")]


def test_an_upsert_finds_the_empty_key_again(tmp_path: Path) -> None:
    records = [{"k": "", "value": "old"}]
    load(tmp_path, records, ["k"])
    assert load(tmp_path, [{"k": "", "value": "new"}], ["k"]) == [("", "new")]


def test_a_batch_of_nothing_but_text_keeps_its_first_row(tmp_path: Path) -> None:
    records = [{"k": "k", "value": "value"}, {"k": "a", "value": "b"}]
    assert load(tmp_path, records, ["k"]) == [("k", "value"), ("a", "b")]


def test_text_that_looks_like_csv_stays_one_value(tmp_path: Path) -> None:
    value = 'a,"b"\r\nc\\N\n\'"'
    assert load(tmp_path, [{"k": "1", "value": value}], ["k"]) == [("1", value)]


def test_without_keys_every_record_is_a_row(tmp_path: Path) -> None:
    assert load(tmp_path, [{"a": "1", "b": "2"}] * 2, []) == [("1", "2")] * 2


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    assert load(tmp_path, [{"k": "1", "value": None}], ["k"], "not/there/t.duckdb") == [("1", None)]
