"""The process skips interpreter teardown, after exit handlers have run and output is flushed."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.configurations import config
from tests.helpers.loopback import LoopbackServer, cut, with_length

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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_imports_ends_with_its_code_and_one_line(number: signal.Signals) -> None:
    program = (
        "import os, sys, tap_cdp_export.cli.signals_at_start\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == 'tap_cdp_export.tap': os.kill(os.getpid(), {int(number)})\n"
        "sys.meta_path.insert(0, Finder())\n"
        "import tap_cdp_export.__main__\n"
    )
    run = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert run.returncode == 128 + number
    assert run.stderr.count("\n") == 1
    assert f"Stopped by {number.name}" in run.stderr
    assert run.stderr.endswith(f"(exit {128 + number})\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_within_8_seconds_while_the_target_reads_nothing(
    tmp_path: Path, number: signal.Signals
) -> None:
    settings = tmp_path / "config.json"
    page = b"[" + b",".join(b'{"name":"%d","note":"%s"}' % (row, b"x" * 100_000) for row in range(60)) + b"]"
    with LoopbackServer(cut(with_length(page))) as server:
        settings.write_text(json.dumps(config("personalization", base_url=server.url)))
        command = [sys.executable, "-m", "tap_cdp_export", "--config", str(settings)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout
            assert process.stderr
            process.stdout.read(1)
            os.set_blocking(process.stdout.fileno(), False)
            for _ in range(100):
                if _is_waiting_in_write(process.pid):
                    break
                time.sleep(0.05)
            start = time.monotonic()
            process.send_signal(number)
            assert process.wait(timeout=10) == 128 + number
            assert time.monotonic() - start < 8
            assert process.stderr.read().decode().strip().endswith(f"(exit {128 + number})")


def _is_waiting_in_write(pid: int) -> bool:
    """Return whether a process waits for a pipe to be read; /proc tells it on Linux."""
    return "pipe" in Path(f"/proc/{pid}/wchan").read_text()


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
