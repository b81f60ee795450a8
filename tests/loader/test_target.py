"""The command line: settings, `--about`, `--version` and exit codes, as a target of the SDK has them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.errors import SettingsError
from tap_cdp_export.loader.target import TargetDuckDB
from tests.helpers.running import run_forked
from tests.loader.loading import LOADER, TEXT, Warehouse, as_lines, record, schema, state

if TYPE_CHECKING:
    from pathlib import Path

KEYED = schema(["k"], k=TEXT)


def run(*options: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command, in a forked process, with an empty input."""
    return run_forked(LOADER, [*options], environment)


def test_about_lists_the_settings_that_have_an_effect() -> None:
    about = json.loads(run("--about", "--format=json").stdout)
    defaults = {name: inner.get("default") for name, inner in about["settings"]["properties"].items()}
    assert defaults == {
        "path": None,
        "default_target_schema": "main",
        "add_metadata_columns": False,
        "hard_delete": False,
        "batch_size_rows": 100_000,
        "remove_batch_files": True,
    }
    assert about["settings"]["required"] == ["path"]


def test_version_is_that_of_the_package() -> None:
    done = subprocess.run([sys.executable, "-m", LOADER, "--version"], capture_output=True, check=False)
    assert done.stdout.startswith(b"tap-cdp-export-duckdb v")
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({}, "setting path is missing: Database file"),
        ({"path": 5}, "setting path must be of type string"),
        ({"path": "a", "batch_size_rows": 0}, "setting batch_size_rows must be at least 1"),
        ({"path": "a", "hard_delete": "perhaps"}, "setting hard_delete must be of type boolean"),
        ({"path": "a", "data_flattening_max_level": 1}, "unknown setting data_flattening_max_level"),
    ],
)
def test_wrong_settings_are_named_without_values(config: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as caught:
        TargetDuckDB(config=config, setup_mapper=False)
    assert "perhaps" not in str(caught.value)


def test_null_and_texts_of_numbers_are_settings_as_meltano_writes_them() -> None:
    config = {"path": "a", "default_target_schema": None, "batch_size_rows": "5"}
    target = TargetDuckDB(config=config, setup_mapper=False)
    assert (target.config["default_target_schema"], target.config["batch_size_rows"]) == ("main", 5)


def test_wrong_settings_are_exit_code_10(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    for options in (("--config", str(tmp_path / "config.json")), ("--config", str(tmp_path / "none")), ("--nonsense",)):
        done = run(*options)
        assert (done.returncode, done.stdout) == (10, b"")
        assert done.stderr.strip().endswith(b"(exit 10)")


def test_settings_come_from_the_environment_too(tmp_path: Path) -> None:
    path = tmp_path / "t.duckdb"
    done = run("--config=ENV", TAP_CDP_EXPORT_DUCKDB_PATH=str(path))
    assert done.returncode == 0
    assert b"settings config..." not in done.stderr  # a line of the SDK on every run
    assert path.exists()


def test_an_unset_variable_for_the_path_is_refused_and_no_state_is_passed_on() -> None:
    done = run("--config=ENV", TAP_CDP_EXPORT_DUCKDB_PATH="")
    assert (done.returncode, done.stdout) == (10, b"")
    assert done.stderr.strip().endswith(b"Name a file in the setting path. (exit 10)")


def test_input_may_be_a_file(warehouse: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "lines").write_bytes(b"".join(as_lines([KEYED, record(k="1"), state({"a": 1})])))
    done = run(*warehouse.arguments(), "--input", str(tmp_path / "lines"))
    assert done.stdout == b'{"a": 1}\n'
    assert warehouse.rows() == [("1",)]


def test_a_missing_extra_is_said_in_a_sentence() -> None:
    program = "import sys; sys.modules['duckdb'] = None\nfrom tap_cdp_export.loader.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        10,
        "The loader needs the package duckdb: install the tap with its extra duckdb.\n",
    )
