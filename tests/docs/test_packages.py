"""What looks into sdist and wheel finds what is wrong with them; `.ci/packages` builds and installs real ones."""

from __future__ import annotations

import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.check_packages import PROJECT, sources, wheel_problems
from tests.docs.pages import BASH
from tests.helpers.about import ROOT
from tests.helpers.plugin_definitions import FOLDER

if TYPE_CHECKING:
    from pathlib import Path

INFO = "tap_cdp_export-1.0.dist-info"


@pytest.fixture
def contents() -> dict[str, str]:
    """A wheel with everything but its metadata."""
    definitions = [f"tap_cdp_export/{path.relative_to(FOLDER.parent)}" for path in FOLDER.glob("*/*.yml")]
    commands = [f"{command} = x:y" for command in PROJECT["scripts"]]
    return {
        **dict.fromkeys([*sources(), *definitions, f"{INFO}/licenses/LICENSE"], ""),
        f"{INFO}/entry_points.txt": "\n".join(commands),
        f"{INFO}/METADATA": "",
    }


def problems(folder: Path, contents: dict[str, str]) -> list[str]:
    """What is wrong with a wheel, its metadata aside."""
    wheel = folder / "tap.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in contents.items():
            archive.writestr(name, text)
    return [problem for problem in wheel_problems(wheel) if not problem.startswith(("says ", "has no description"))]


def test_a_wheel_with_everything_is_right(tmp_path: Path, contents: dict[str, str]) -> None:
    assert problems(tmp_path, contents) == []


@pytest.mark.parametrize(
    "name", ["tap_cdp_export/py.typed", "tap_cdp_export/plugins/extractors/tap-cdp-export.yml", "tap_cdp_export/tap.py"]
)
def test_a_file_that_is_missing_is_found(tmp_path: Path, contents: dict[str, str], name: str) -> None:
    del contents[name]
    assert problems(tmp_path, contents) == [f"lacks {name}"]


def test_a_licence_a_command_and_metadata_that_are_missing_are_found(tmp_path: Path, contents: dict[str, str]) -> None:
    del contents[f"{INFO}/licenses/LICENSE"]
    contents[f"{INFO}/entry_points.txt"] = contents[f"{INFO}/entry_points.txt"].replace(
        "tap-cdp-export-duckdb", "other"
    )
    assert problems(tmp_path, contents) == ["lacks the licence", "lacks the command tap-cdp-export-duckdb"]
    assert "says None of Requires-Python" in wheel_problems(tmp_path / "tap.whl")


@pytest.mark.parametrize("name", ["tests/helpers/about.py", "tap_cdp_export/notes.txt"])
def test_a_file_that_has_no_place_there_is_found(tmp_path: Path, contents: dict[str, str], name: str) -> None:
    assert problems(tmp_path, {**contents, name: ""}) == [f"holds {name}"]


def test_an_unknown_option_is_refused() -> None:
    done = subprocess.run((BASH, ROOT / ".ci" / "packages", "--newest"), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "usage: bash .ci/packages [--all]\n")
