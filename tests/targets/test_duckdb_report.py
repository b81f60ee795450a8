"""The report after the quick start: every stream, its row count, and sample rows."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import duckdb
import pytest

from tap_cdp_export.loader.report import main

if TYPE_CHECKING:
    from pathlib import Path

STREAM = """
CREATE SCHEMA tap_cdp_export;
CREATE TABLE tap_cdp_export.users (empty VARCHAR, _sdc_batched_at INTEGER, display VARCHAR, name VARCHAR PRIMARY KEY);
INSERT INTO tap_cdp_export.users SELECT NULL, 1, 'Åsa' || range || repeat('x', 50), 'n' || range FROM range(1200);
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A database with one stream of 1,200 rows."""
    with duckdb.connect(str(tmp_path / "cdp.duckdb")) as database:
        database.execute(STREAM)
    return str(tmp_path / "cdp.duckdb")


def test_every_stream_is_shown_with_its_number_of_rows(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([path]) == 0
    assert "  users   1,200\n" in capsys.readouterr().out


def test_a_few_rows_are_shown_keys_first_without_empty_and_technical_columns(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main([path])
    text = capsys.readouterr().out
    assert "\nusers\n  name  display" in text
    assert text.count("Åsa") == 3
    assert not {"empty", "_sdc_batched_at"} & set(text.split())


def test_long_values_are_cut_so_that_a_row_stays_a_line(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([path])
    rows = [line for line in capsys.readouterr().out.splitlines() if "Åsa" in line]
    assert [row.endswith("…") and len(row) < 40 for row in rows] == [True] * 3


def test_a_missing_file_is_an_error_with_a_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.duckdb")]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_it_runs_where_only_duckdb_is_installed(path: str) -> None:
    program = (
        "import sys; sys.modules.update(singer_sdk=None, requests=None, msgspec=None)\n"
        "from tap_cdp_export.loader.report import main; main()"
    )
    subprocess.run([sys.executable, "-c", program, path], check=True, capture_output=True)
