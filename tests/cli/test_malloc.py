"""Freed blocks are reused, and crashes write no core file."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from tap_cdp_export import __main__ as command
from tap_cdp_export.cli.malloc import tune_malloc
from tap_cdp_export.tap import TapCDPExport

if TYPE_CHECKING:
    from pathlib import Path

FAULTS = """
import resource
from tap_cdp_export.cli.malloc import tune_malloc

if {tune}:
    tune_malloc()
for _ in range(100):
    blocks = [b"x" * size for size in range(300_000, 900_000, 100_000)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


def faults(*, tune: bool) -> int:
    program = [sys.executable, "-c", FAULTS.format(tune=tune)]
    return int(subprocess.run(program, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc")
def test_freed_blocks_are_reused() -> None:
    assert faults(tune=True) < faults(tune=False) / 3


@pytest.mark.parametrize("error", [OSError, TypeError])
def test_an_allocator_that_cannot_be_loaded_is_ignored(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_name: None) -> None:
        raise error

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    tune_malloc()


def test_a_library_without_mallopt_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    tune_malloc()


def test_the_command_tunes_memory_before_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(command, "write_no_core_file", lambda: calls.append("core"))
    monkeypatch.setattr(command, "tune_malloc", lambda: calls.append("memory"))
    monkeypatch.setattr(command, "gc", SimpleNamespace(freeze=lambda: None, enable=lambda: None))
    monkeypatch.setattr(TapCDPExport, "cli", lambda: calls.append("run"))
    command.main()
    assert calls == ["core", "memory", "run"]


CORE = """
import os, resource
from tap_cdp_export.cli.malloc import write_no_core_file

resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
write_no_core_file()
if not os.fork():
    print(resource.getrlimit(resource.RLIMIT_CORE))
    os.abort()
print(os.wait()[1])
"""


def test_a_process_that_crashes_leaves_no_core_file(tmp_path: Path) -> None:
    program = [sys.executable, "-u", "-c", CORE]
    process = subprocess.run(program, check=True, capture_output=True, text=True, cwd=tmp_path)
    assert process.stdout.splitlines() == ["(0, 0)", str(int(signal.SIGABRT))]  # without the core-dump flag, 0x80
    assert not [*tmp_path.iterdir()]
