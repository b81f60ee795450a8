"""Fixtures of the tests that do what a page says: a folder with the project's files, and a wheel of them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.docs import walk
from tests.docs.pages import tracked
from tests.helpers.about import ROOT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the repository, with no git and in a folder of its name."""
    folder = tmp_path_factory.mktemp("clone") / "tap-cdp-export"
    for path in tracked():
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return folder


@pytest.fixture(scope="session")
def wheel(clone: Path) -> Path:
    """A wheel, built as the page on installation says."""
    walk.run(walk.blocks("install.md", "## A wheel"), clone)
    (built,) = (clone / "dist").iterdir()
    return built
