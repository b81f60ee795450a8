"""Imported packages are declared, with a sufficient minimum version."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from urllib3 import BaseHTTPResponse

ROOT = Path(__file__).parents[1]


def test_imports_and_declared_dependencies_are_the_same() -> None:
    process = subprocess.run(
        [Path(sys.executable).with_name("deptry"), "tap_cdp_export"], cwd=ROOT, capture_output=True, check=False
    )
    assert process.returncode == 0, process.stderr.decode()


def test_no_urllib3_without_read1_is_allowed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = map(Requirement, project["dependencies"])
    (urllib3,) = [requirement for requirement in requirements if requirement.name == "urllib3"]
    assert not urllib3.specifier.contains("2.1.0")
    assert urllib3.specifier.contains("2.2.0")
    assert hasattr(BaseHTTPResponse, "read1")
