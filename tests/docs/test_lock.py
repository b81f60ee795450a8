"""The lock file has what `pyproject.toml` asks for, with hashes, from no particular index."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.helpers.about import ROOT

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ENTRIES = [line for line in LOCK.replace("\\\n", "").splitlines() if line and not line.startswith("#")]


def locked() -> dict[str, list[str]]:
    """The versions of each package: several where they differ by Python or platform."""
    versions: dict[str, list[str]] = defaultdict(list)
    for entry in ENTRIES:
        name, version = re.match(r"([\w.-]+)==(\S+)", entry).groups()  # type: ignore[union-attr]
        versions[canonicalize_name(name)].append(version)
    return versions


def required() -> list[Requirement]:
    """All dependencies, those of the extras too, without the project itself."""
    lists = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    requirements = [Requirement(text) for dependencies in lists for text in dependencies]
    return [one for one in requirements if canonicalize_name(one.name) != PROJECT["name"]]


@pytest.mark.parametrize("requirement", required(), ids=str)
def test_every_dependency_is_locked_at_a_version_that_it_allows(requirement: Requirement) -> None:
    versions = locked().get(canonicalize_name(requirement.name), [])
    assert versions, "make lock"
    assert [version for version in versions if not requirement.specifier.contains(version)] == [], "make lock"


def test_every_entry_has_hashes() -> None:
    assert [entry for entry in ENTRIES if "--hash=sha256:" not in entry] == []


def test_the_file_names_no_index_and_no_path() -> None:
    assert re.findall(r"\S*(?:://|file:|-index|find-links| @ )\S*", LOCK) == []
