"""Every page and section that a docstring or a comment cites is in the repository."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from functools import cache
from typing import TYPE_CHECKING, Final

import pytest

from tests.docs.pages import section_numbers, tracked
from tests.helpers.about import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SECTION: Final = r"(?:[A-Z]\.)?\d+(?:\.\d+)*"
_CITATION: Final = re.compile(
    r"(?<![\w/.:-])(?P<page>(?:[\w.-]+/)*[\w-]+\.md)\b"
    rf"(?:, sections? (?P<sections>{_SECTION}(?:(?:, | and | to ){_SECTION})*))?"
)
_NO_PAGE: Final = re.compile(r"\bresearch:")


def prose(text: str) -> Iterator[str]:
    """The docstrings of a module, those of constants too, and its comments; each on one line."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield " ".join(node.value.value.split())
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def sections(text: str) -> Iterator[str]:
    """The sections that `2.1, 2.2 and 10` or `2 to 5` names."""
    for part in re.split(r", | and ", text):
        first, _, last = part.partition(" to ")
        yield from map(str, range(int(first), int(last) + 1)) if last else [first]


def dead_ends(text: str) -> Iterator[str]:
    """The citations in a text that lead nowhere."""
    for found in _NO_PAGE.finditer(text):
        yield text[found.start() :][:60]
    for found in _CITATION.finditer(text):
        page = ROOT / found["page"]
        known = section_numbers(page) if page.is_file() else frozenset()
        if not page.is_file() or not known.issuperset(sections(found["sections"]) if found["sections"] else ()):
            yield found[0]


def is_python(text: str) -> bool:
    """Whether a text is Python at all; some of the tests' files are not, on purpose."""
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


@cache
def cited() -> dict[Path, list[str]]:
    """What might cite a page, of all files that are Python."""
    texts = {path: path.read_text(encoding="utf-8") for path in tracked("*.py")}
    return {path: [*prose(text)] for path, text in texts.items() if is_python(text)}


def test_every_citation_leads_to_a_section_that_is_there() -> None:
    assert len(cited()) > 400
    assert [(path, end) for path, texts in cited().items() for text in texts for end in dead_ends(text)] == []


@pytest.mark.parametrize(
    "text",
    [
        "see docs/vendors/nobody.md",
        "(docs/vendors/braze.md, section 99)",
        "(docs/vendors/braze.md, sections 2.1 and 2.9)",
        "(docs/vendors/braze.md, sections 14 to 16)",
        "(vendors/braze.md, section 8)",
        "(research: reliability, section 0.1)",
    ],
)
def test_a_citation_that_leads_nowhere_is_found(text: str) -> None:
    assert len(list(dead_ends(text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "(docs/vendors/braze.md, section 8).",
        "(docs/vendors/braze.md, sections 2.1, 2.2 and 10)",
        "(docs/vendors/personalization.md, sections 1 to 3 and 7)",
        "(docs/vendors/endpoints.md, section B.3)",
        "https://example.com/docs/nobody.md",
    ],
)
def test_a_citation_that_leads_somewhere_is_none_of_them(text: str) -> None:
    assert list(dead_ends(text)) == []


def test_the_vendor_pages_are_cited() -> None:
    package = [
        text for path, texts in cited().items() if path.is_relative_to(ROOT / "tap_cdp_export") for text in texts
    ]
    pages = {found["page"] for text in package for found in _CITATION.finditer(text)}
    assert {f"docs/vendors/{vendor}.md" for vendor in ("apsis", "braze", "personalization")} <= pages
