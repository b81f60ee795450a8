"""Only processors that may be used count: those of the affinity, as far as the control groups' quotas go."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from tap_cdp_export.singer import processors
from tap_cdp_export.singer.processors import usable_processors

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")


@pytest.fixture(autouse=True)
def _eight_processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(8)))
    monkeypatch.setattr(processors, "_CGROUPS", tmp_path)
    monkeypatch.setattr(processors, "_OWN_CGROUP", tmp_path / "self")


def limit(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpu.max").write_text(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("max 100000\n", 8),
        ("100000 100000\n", 1),
        ("150000 100000\n", 1.5),
        ("1600000 100000", 8),
        ("", 8),
        ("x y", 8),
        ("1 0", 8),
    ],
)
def test_a_quota_of_the_own_group_counts(tmp_path: Path, text: str, number: float) -> None:
    limit(tmp_path, text)  # in a container the own group is the mount point
    assert usable_processors() == number


def test_the_smallest_quota_of_the_groups_above_counts(tmp_path: Path) -> None:
    (tmp_path / "self").write_text("1:cpu:/other\n0::/system.slice/tap.service\n")
    limit(tmp_path / "system.slice" / "tap.service", "400000 100000\n")
    limit(tmp_path / "system.slice", "200000 100000\n")
    limit(tmp_path / "other", "100000 100000\n")
    assert usable_processors() == 2


def test_without_control_groups_the_affinity_counts() -> None:
    assert usable_processors() == 8
