"""A small sandbox with a fixed clock, for runs of the whole command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tap_cdp_export.sandbox.options import Options, PopulationOptions
from tap_cdp_export.sandbox.server import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = "2026-11-10T12:00:00Z"


def small_sandbox() -> Sandbox:
    """A sandbox of 300 people at noon of a past day, not yet started."""
    return Sandbox(Options(population=PopulationOptions(users=300, companies=20, now=NOW)))


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """The same sandbox, running."""
    with small_sandbox() as running:
        yield running
