"""The pages of the repository, and what their headings and links are."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from typing import TYPE_CHECKING, Final

from tests.helpers.about import ROOT

if TYPE_CHECKING:
    from pathlib import Path

BASH: Final = shutil.which("bash") or "bash"
GIT: Final = shutil.which("git") or "git"
_NUMBER: Final = re.compile(r"^#+ ((?:[A-Z]\.)?\d+(?:\.\d+)*)\.? ", re.MULTILINE)
_HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
_NOT_IN_AN_ANCHOR: Final = re.compile(r"[^\w\- ]")


@cache
def tracked(*patterns: str) -> tuple[Path, ...]:
    """The files that git knows or would take, of these patterns."""
    command = (GIT, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns)
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return tuple(path for path in (ROOT / name for name in names if name) if path.is_file())


@cache
def section_numbers(page: Path) -> frozenset[str]:
    """The numbers of a page's sections."""
    return frozenset(_NUMBER.findall(page.read_text(encoding="utf-8")))


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, as forges make them."""
    headings = _HEADING.findall(page.read_text(encoding="utf-8"))
    return frozenset(_NOT_IN_AN_ANCHOR.sub("", heading.lower()).replace(" ", "-") for heading in headings)


def table(text: str, head: str) -> list[str]:
    """The rows of the table whose head begins so."""
    rows = text.partition(f"\n{head}")[2].partition("\n\n")[0].splitlines()
    return rows[2:]
