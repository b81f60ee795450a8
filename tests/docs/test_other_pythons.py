"""The script that runs the unit tests on other Pythons finds them, or says that they are missing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import BASH
from tests.helpers.about import ROOT

SCRIPT = Path(".ci") / "other-pythons"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A project that supports a Python which nobody has."""
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    (tmp_path / "pyproject.toml").write_text('classifiers = ["Programming Language :: Python :: 3.99"]\n')
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script."""
    return subprocess.run((BASH, str(folder / SCRIPT), *arguments), capture_output=True, text=True, check=False)


def test_no_other_python_is_no_error(checkout: Path) -> None:
    done = run(checkout)
    assert done.returncode == 0
    assert "No other Python is installed" in done.stdout


def test_all_of_them_means_all_of_them(checkout: Path) -> None:
    done = run(checkout, "--all")
    assert done.returncode == 1
    assert "Python 3.99 is not installed" in done.stderr


def test_an_unknown_option_is_refused(checkout: Path) -> None:
    assert run(checkout, "--newest").returncode == 2
