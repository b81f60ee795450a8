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
CREATE TABLE tap_cdp_export."od""d" (name VARCHAR PRIMARY KEY, display VARCHAR);
INSERT INTO tap_cdp_export."od""d" SELECT 'n' || range, 'Åsa' || range || repeat('x', 50) FROM range(1200);
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A database with one stream of 1,200 rows."""
    with duckdb.connect(str(tmp_path / "cdp.duckdb")) as database:
        database.execute(STREAM)
    return str(tmp_path / "cdp.duckdb")


def test_every_stream_is_shown_with_its_number_of_rows(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([path]) == 0
    assert '│ od"d    │  1200 │' in capsys.readouterr().out


def test_the_schema_may_have_the_name_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with duckdb.connect(str(tmp_path / "tap_cdp_export.duckdb")) as database:
        database.execute("CREATE SCHEMA tap_cdp_export; CREATE TABLE tap_cdp_export.tap_cdp_export.t AS SELECT 7 AS a")
    assert main([str(tmp_path / "tap_cdp_export.duckdb")]) == 0
    assert "│ t       │     1 │" in capsys.readouterr().out


def test_a_few_rows_are_shown_with_long_values_cut(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([path])
    text = capsys.readouterr().out
    assert text.count("Åsa") == 3
    assert max(map(len, text.splitlines())) <= 120


def test_a_missing_file_is_an_error_with_a_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.duckdb")]) == 16
    assert "does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["", ":memory:"])
def test_a_database_in_memory_is_an_error_with_a_reason(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([path]) == 16
    assert "in-memory database in read-only mode" in capsys.readouterr().err


def test_a_schema_without_tables_is_said(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([path, "--schema", "other"]) == 0
    assert capsys.readouterr().out == "No table is in the schema other.\n"


def test_it_runs_where_only_duckdb_is_installed(path: str) -> None:
    program = (
        "import sys; sys.modules.update(singer_sdk=None, requests=None, msgspec=None)\n"
        "from tap_cdp_export.loader.report import main; main()"
    )
    subprocess.run([sys.executable, "-c", program, path], check=True, capture_output=True)
