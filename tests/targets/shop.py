"""The sandbox that the tap reads in these tests."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tap_cdp_export.sandbox.options import Options, PopulationOptions
from tap_cdp_export.sandbox.server import Sandbox
from tests.targets.loaded import START

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def shop(now: str) -> Iterator[Sandbox]:
    """A sandbox with a fixed clock, so that its counts are exact."""
    with Sandbox(Options(population=PopulationOptions(users=300, companies=20, now=now))) as sandbox:
        yield sandbox


def settings_of(sandbox: Sandbox, end: str) -> dict[str, Any]:
    """Settings that read a sandbox up to its current time."""
    return {**sandbox.settings(), "start_date": START, "end_date": end}
