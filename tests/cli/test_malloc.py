"""Freed memory is kept, so that it need not be fetched from the system again page by page."""

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

if {kept}:
    tune_malloc()
for _ in range(100):
    blocks = [b"x" * size for size in range(300_000, 900_000, 100_000)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


def faults(*, kept: bool) -> int:
    program = [sys.executable, "-c", FAULTS.format(kept=kept)]
    return int(subprocess.run(program, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="only glibc can be told")
def test_blocks_that_are_freed_are_used_again() -> None:
    assert faults(kept=True) < faults(kept=False) / 3


@pytest.mark.parametrize("trouble", [OSError, TypeError])
def test_another_allocator_is_let_be(trouble: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_name: None) -> None:
        raise trouble

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    tune_malloc()


def test_a_library_without_the_function_is_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    tune_malloc()


def test_the_command_keeps_memory_before_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(command, "write_no_core_file", lambda: done.append("core"))
    monkeypatch.setattr(command, "tune_malloc", lambda: done.append("memory"))
    monkeypatch.setattr(command, "gc", SimpleNamespace(freeze=lambda: None, enable=lambda: None))
    monkeypatch.setattr(TapCDPExport, "cli", lambda: done.append("run"))
    command.main()
    assert done == ["core", "memory", "run"]


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
    done = subprocess.run(program, check=True, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.splitlines() == ["(0, 0)", str(int(signal.SIGABRT))]  # and not the bit that tells of a core
    assert not [*tmp_path.iterdir()]
