"""The pages build as a site, strictly, and the site loads nothing from another host."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import tracked
from tests.helpers.about import ROOT

pytest.importorskip("mkdocs", reason="the extra docs is not installed")

LOADED = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=["']?(?:https?:)?//""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as in CI."""
    folder = tmp_path_factory.mktemp("site")
    command = (sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder))
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return folder


def test_every_page_is_in_it(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in tracked("docs/*.md")}
    assert {*pages, Path("index.html")} <= {path.relative_to(site) for path in site.rglob("*.html")}


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    loaded = {path.name: LOADED.findall(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    canonical = '<link href="https://'
    assert {name: found for name, found in loaded.items() if [tag for tag in found if canonical not in tag]} == {}


def test_links_of_the_first_page_stay_in_the_site(site: Path) -> None:
    index = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="settings.html"' in index
    assert "/blob/main/docs/" not in index
    assert "/blob/main/CONTRIBUTING.md" in index
