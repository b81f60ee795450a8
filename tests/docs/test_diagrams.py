"""The diagrams are drawn from their sources, and name what there is."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import tracked
from tests.helpers.about import ROOT, streams

if TYPE_CHECKING:
    from pathlib import Path

DIAGRAMS = ROOT / "docs" / "diagrams"


@pytest.mark.parametrize("source", tracked("docs/diagrams/*.mmd"), ids=lambda path: path.name)
def test_the_picture_is_of_its_source(source: Path) -> None:
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert source.with_suffix(".svg").read_text(encoding="utf-8").endswith(f"<!-- {digest} -->\n"), "make diagrams"


@pytest.mark.parametrize("name", ["tables", "campaigns"])
def test_tables_and_the_columns_that_join_them_are_those_of_the_catalog(name: str) -> None:
    columns = {name: set(entry["schema"]["properties"]) for name, entry in streams().items()}
    text = (DIAGRAMS / f"{name}.mmd").read_text(encoding="utf-8")
    joins = re.findall(r'^ +(\w+) \S+--\S+ (\w+) : "(.+)"$', text, re.MULTILINE)
    assert len(joins) == text.count("--")
    for left, right, on in joins:
        for join in on.split(", "):
            ours, _, theirs = join.partition(" = ")
            assert ours.removeprefix("keys of ").removeprefix("elements of ") in columns[left]
            assert (theirs or ours) in columns[right]


def test_modules_in_the_flow_are_there() -> None:
    text = (DIAGRAMS / "flow.mmd").read_text(encoding="utf-8")
    named = set(re.findall(r"[\w/]+\.py", text))
    assert len(named) > 15
    assert [name for name in named if not (ROOT / "tap_cdp_export" / name).is_file()] == []
