"""The loader's memory depends on the size of a batch, not on what has been loaded before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from tests.loader.loading import TEXT, as_lines, schema

if TYPE_CHECKING:
    from pathlib import Path

_COMMAND: Final = """
import sys
from tap_cdp_export.loader import database
from tap_cdp_export.loader.__main__ import main
database._CONFIG["memory_limit"] = "48MB"
main()
"""


def peak(folder: Path, rows: int) -> float:
    """Load rows of 1 kB that cannot be compressed, 2,000 a batch, and return the largest resident set in MB."""
    folder.mkdir()
    config = folder / "config.json"
    config.write_text(json.dumps({"path": str(folder / "t.duckdb"), "batch_size_rows": 2_000}))
    lines = folder / "lines.jsonl"
    with lines.open("wb") as file:
        file.writelines(as_lines([schema(["k"], k=TEXT, v=TEXT)]))
        file.writelines(
            b'{"type":"RECORD","stream":"t","record":{"k":"%d","v":"%b"}}\n' % (number, os.urandom(512).hex().encode())
            for number in range(rows)
        )
    with lines.open("rb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND, "--config", str(config)], stdin=file, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / 1024


def test_six_times_the_rows_take_no_more_memory(tmp_path: Path) -> None:
    few, many = peak(tmp_path / "few", 10_000), peak(tmp_path / "many", 60_000)
    assert many - few < 25, (few, many)  # the file has grown by 50 MB
