"""Fixtures of the loader's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.loader.loading import Warehouse

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """A database that does not exist yet, in a folder that does not exist either."""
    return Warehouse(tmp_path / "not" / "there" / "t.duckdb")
