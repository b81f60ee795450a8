"""Each fact that a vendor page marks unknown has an identifier that the check knows, and the other way round."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from tap_cdp_export.tap import VENDORS
from tests.docs.pages import tracked
from tests.helpers.about import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGES: Final = tracked("docs/vendors/*.md")
UNKNOWNS: Final = {unknown.id: unknown for vendor in VENDORS for unknown in vendor.check.unknowns}
IDENTIFIER: Final = r"[a-z]+\.[a-z0-9-]+"
MARK: Final = re.compile(rf"UNKNOWN(?P<bold>\*\*)?(?P<ids>(?: `{IDENTIFIER}`)*)")
ROW: Final = re.compile(rf"^\| `({IDENTIFIER})` \| (.+?) \| .+ \|$", re.MULTILINE)
LEGEND: Final = re.compile(r"\*\*UNKNOWN\*\* no public source")
OTHER_MARKS: Final = re.compile(r"\*\*unknown\*\*|\b(?:is|are) unknown\b(?!,)")


def marked(text: str) -> set[str]:
    """The identifiers behind the marks of a page."""
    return {identifier for mark in MARK.finditer(text) for identifier in re.findall(IDENTIFIER, mark["ids"])}


def bare_marks(text: str) -> list[str]:
    """The marks of a page that have no identifier, with what stands around them."""
    text = LEGEND.sub("", text)
    bare = [mark for mark in MARK.finditer(text) if not mark["ids"]]
    return [text[max(mark.start() - 60, 0) : mark.end() + 20] for mark in (*bare, *OTHER_MARKS.finditer(text))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_mark_has_an_identifier(page: Path) -> None:
    assert bare_marks(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text", ["size **UNKNOWN** (example)", "whether from 0: UNKNOWN.", "is **unknown**", "It is unknown."]
)
def test_a_mark_without_an_identifier_is_found(text: str) -> None:
    assert len(bare_marks(text)) >= 1
    assert bare_marks("size **UNKNOWN** `vendor.size` (example), what is unknown, and") == []


def test_the_pages_and_the_check_know_the_same_identifiers() -> None:
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    assert set().union(*map(marked, texts)) == UNKNOWNS.keys()


def test_the_tables_say_what_the_check_says() -> None:
    rows = [row for page in PAGES for row in ROW.findall(page.read_text(encoding="utf-8"))]
    assert len(rows) == len(UNKNOWNS)
    assert dict(rows) == {unknown.id: unknown.claim for unknown in UNKNOWNS.values()}


def test_every_identifier_begins_with_its_vendor() -> None:
    for vendor in VENDORS:
        assert all(unknown.id.startswith(f"{vendor.name}.") for unknown in vendor.check.unknowns)
        assert len({unknown.id for unknown in vendor.check.unknowns}) == len(vendor.check.unknowns) > 20


def test_the_issue_template_asks_for_the_report() -> None:
    template = (ROOT / ".github" / "ISSUE_TEMPLATE" / "first-contact.md").read_text(encoding="utf-8")
    assert "tap-cdp-export-check --config config.json --report report.json" in template
