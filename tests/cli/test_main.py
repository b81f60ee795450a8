"""The process skips interpreter teardown, after exit handlers have run and output is flushed."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.configurations import config

PROGRAM = """
import atexit, sys
from tap_cdp_export import __main__ as command

atexit.register(lambda: sys.stdout.write("last words"))
command.TapCDPExport.cli = lambda: sys.exit({code!r})
command.main()
"""
FULL = Path("/dev/full")


def run_main(code: object, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM.format(code=code)]
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    return subprocess.run(command, check=False, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (12, 12), (None, 0), ("why", 1)])
def test_the_exit_code_is_kept_and_exit_handlers_run(code: object, expected: int) -> None:
    run = run_main(code)
    assert (run.returncode, run.stdout) == (expected, "last words")


def test_a_process_without_stdout_ends_without_an_error() -> None:
    command = f"exec {shlex.quote(sys.executable)} -m tap_cdp_export --version >&-"
    run = subprocess.run(["/bin/sh", "-c", command], check=False, stderr=subprocess.PIPE, text=True)
    assert (run.returncode, run.stderr) == (0, "")


def test_a_sync_without_stdout_ends_with_16(tmp_path: Path) -> None:
    settings = tmp_path / "config.json"
    settings.write_text(json.dumps(config("personalization", base_url="http://127.0.0.1:9")))
    command = f"exec {shlex.quote(sys.executable)} -m tap_cdp_export --config {settings} >&-"
    run = subprocess.run(["/bin/sh", "-c", command], check=False, stderr=subprocess.PIPE, text=True)
    assert run.returncode == 16, run.stderr
    assert "stdout is closed" in run.stderr
    assert run.stderr.strip().endswith("(exit 16)")


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
def test_output_that_cannot_be_flushed_is_reported_by_python() -> None:
    with FULL.open("w") as full:
        run = run_main(0, full.fileno())
    assert run.returncode == 120
    assert "No space left" in run.stderr
