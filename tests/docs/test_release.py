"""The address of the repository stands in one place, and no release is made while it is a placeholder."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.docs.pages import BASH, GIT, tracked
from tests.helpers.about import ROOT

PLACEHOLDER = "OWNER"
SCRIPT = Path(".ci") / "release"
PROJECT = "pyproject.toml"


def test_the_placeholder_stands_in_one_place_only() -> None:
    holders = {path.relative_to(ROOT) for path in tracked() if PLACEHOLDER.encode() in path.read_bytes()}
    written_from_it = {path for path in holders if path.parts[0] == "plugins"}  # by tests.write_settings
    assert holders - written_from_it - {Path(PROJECT)} <= {SCRIPT, Path(__file__).relative_to(ROOT)}


def test_the_project_has_one_address() -> None:
    urls = tomllib.loads((ROOT / PROJECT).read_text(encoding="utf-8"))["project"]["urls"]
    assert list(urls) == ["Repository"]
    assert urls["Repository"].startswith("https://")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository that is ready for release 1.2.3."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / SCRIPT, tmp_path / SCRIPT)
    (tmp_path / PROJECT).write_text('[project.urls]\nRepository = "https://example.com/somebody/tap"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [1.2.3] - 2026-12-01\n")
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    """Run git as somebody."""
    somebody = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    return subprocess.run((GIT, *somebody, *arguments), cwd=folder, capture_output=True, text=True, check=True).stdout


def commit(folder: Path) -> None:
    """Commit everything."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Change")


def refusal(folder: Path, version: str = "1.2.3") -> str:
    """Run the script, which must refuse and leave no tag of its own, and give its reason."""
    before = git(folder, "tag")
    run = subprocess.run((BASH, str(folder / SCRIPT), version), capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert git(folder, "tag") == before
    return run.stderr


def test_a_placeholder_is_refused(checkout: Path) -> None:
    (checkout / PROJECT).write_text((ROOT / PROJECT).read_text(encoding="utf-8").replace(PLACEHOLDER, "somebody"))
    commit(checkout)
    assert "owner" not in refusal(checkout, "1.2.4")
    (checkout / PROJECT).write_text(f'[project.urls]\nRepository = "https://github.com/{PLACEHOLDER}/tap"\n')
    commit(checkout)
    assert f"{PLACEHOLDER} in place of the repository's owner" in refusal(checkout)


@pytest.mark.parametrize("version", ["", "1.2", "v1.2.3", "1.2.3.dev1"])
def test_what_is_no_version_is_refused(checkout: Path, version: str) -> None:
    assert "make release VERSION=1.2.3" in refusal(checkout, version)


def test_a_project_without_an_address_is_refused(checkout: Path) -> None:
    (checkout / PROJECT).write_text("[project]\n")
    commit(checkout)
    assert "[project.urls]" in refusal(checkout)


def test_changes_that_are_not_committed_are_refused(checkout: Path) -> None:
    (checkout / "CHANGELOG.md").write_text("## [1.2.3] - 2026-12-01\n")
    assert "not committed" in refusal(checkout)


def test_a_version_without_a_heading_in_the_changelog_is_refused(checkout: Path) -> None:
    assert "no heading '## [1.2.4]" in refusal(checkout, "1.2.4")


def test_a_version_that_has_a_tag_is_refused(checkout: Path) -> None:
    git(checkout, "tag", "v1.2.3")
    assert "v1.2.3 is there already" in refusal(checkout)
