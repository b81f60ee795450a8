"""The address of the repository stands in one place, and no release is made while it is a placeholder."""

from __future__ import annotations

import os
import re
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
DEFINITION = Path("plugins") / "extractors" / "tap-cdp-export.yml"
SECTIONS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]


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
    (tmp_path / DEFINITION).parent.mkdir(parents=True)
    (tmp_path / DEFINITION).write_text("pip_url: tap-cdp-export[sandbox]@git+https://example.com/somebody/tap.git\n")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [1.2.3] - 2026-12-01\n")
    git(tmp_path, "init", "--quiet")
    for name, value in (("user.name", "Somebody"), ("user.email", "somebody@example.com")):
        git(tmp_path, "config", name, value)
    commit(tmp_path)
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    """Run git."""
    return subprocess.run((GIT, *arguments), cwd=folder, capture_output=True, text=True, check=True).stdout


def commit(folder: Path) -> None:
    """Commit everything."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Change")


def release(folder: Path, version: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script."""
    command = (BASH, str(folder / SCRIPT), version)
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


def refusal(folder: Path, version: str = "1.2.3", **environment: str) -> str:
    """Run the script, which must refuse and leave no tag of its own, and give its reason."""
    before = git(folder, "tag")
    run = release(folder, version, **environment)
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


def test_plugin_definitions_with_another_address_are_refused(checkout: Path) -> None:
    (checkout / DEFINITION).write_text(f"pip_url: tap@git+https://github.com/{PLACEHOLDER}/tap.git\n")
    commit(checkout)
    assert "python -m tests.write_settings" in refusal(checkout)


def test_changes_that_are_not_committed_are_refused(checkout: Path) -> None:
    (checkout / "CHANGELOG.md").write_text("## [1.2.3] - 2026-12-01\n")
    assert "not committed" in refusal(checkout)


def test_a_version_without_a_heading_in_the_changelog_is_refused(checkout: Path) -> None:
    assert "no heading '## [1.2.4]" in refusal(checkout, "1.2.4")


def test_a_version_that_has_a_tag_is_refused(checkout: Path) -> None:
    git(checkout, "tag", "v1.2.3")
    assert "v1.2.3 is there already" in refusal(checkout)


def test_what_cannot_be_built_leaves_no_tag(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    broken = tmp_path_factory.mktemp("bin")
    (broken / "python3").write_text("#!/bin/sh\nexit 1\n")
    (broken / "python3").chmod(0o700)
    path = f"{broken}{os.pathsep}{os.environ['PATH']}"
    assert "could not be built; the tag is gone again" in refusal(checkout, PATH=path)
    assert not (checkout / "dist").exists()


@pytest.mark.install
def test_a_release_is_built_and_tagged(clone: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(clone, tmp_path / "clone", ignore=shutil.ignore_patterns("dist"))
    for path in (folder / PROJECT, *(folder / "plugins").glob("*/*.yml")):
        path.write_text(path.read_text(encoding="utf-8").replace(PLACEHOLDER, "somebody"), encoding="utf-8")
    changelog = folder / "CHANGELOG.md"
    changelog.write_text(changelog.read_text(encoding="utf-8") + "\n## [1.2.3] - 2026-12-01\n", encoding="utf-8")
    git(folder, "init", "--quiet")
    for name, value in (("user.name", "Somebody"), ("user.email", "somebody@example.com")):
        git(folder, "config", name, value)
    commit(folder)
    done = release(folder, "1.2.3")
    assert done.returncode == 0, done.stderr
    built = {path.name for path in (folder / "dist").iterdir()}
    assert built == {"tap_cdp_export-1.2.3.tar.gz", "tap_cdp_export-1.2.3-py3-none-any.whl"}
    assert git(folder, "tag", "--list", "--format=%(refname:short) %(objecttype)") == "v1.2.3 tag\n"
    assert git(folder, "status", "--porcelain") == ""


def test_the_changelog_has_the_form_that_it_names() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    unreleased, *versions = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert unreleased == "[Unreleased]"
    found = [re.fullmatch(r"\[(\d+)\.(\d+)\.(\d+)\] - (\d{4}-\d\d-\d\d)", version) for version in versions]
    assert None not in found
    assert versions == sorted(
        versions, reverse=True, key=lambda version: [int(number) for number in re.findall(r"\d+", version)]
    )
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= set(SECTIONS)
