# ruff: noqa: INP001 -- mkdocs imports it by its path
"""The hook of `mkdocs.yml`: the README is the first page, and links out of `docs/` lead to the repository."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import TYPE_CHECKING, Final

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parents[1]
PICTURE: Final = "tests/benchmarks/results.svg"
_LINK: Final = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)")
_LIST_BEHIND_TEXT: Final = re.compile(r"^((?![-*|#>`\s]|\d+\. ).+\n)(?=(?:[-*]|\d+\.) )", re.MULTILINE)


def on_config(config: MkDocsConfig) -> None:
    """Take the repository's address from the one place that has it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    config.repo_url, config.repo_name = project["urls"]["Repository"], project["name"]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what stands outside of `docs/`."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "index.md", content=readme))
    files.append(File.generated(config, PurePosixPath(PICTURE).name, abs_src_path=str(ROOT / PICTURE)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 -- mkdocs'
    """Point each link of a page at the site's own file, or else at the repository's; begin lists as forges do."""
    here = PurePosixPath("README.md" if page.file.src_uri == "index.md" else f"docs/{page.file.src_uri}")
    site = PurePosixPath(page.file.src_uri).parent

    def target(link: re.Match[str]) -> str:
        path = normpath(f"{here.parent}/{link[1]}")
        known = {"README.md": "index.md", PICTURE: PurePosixPath(PICTURE).name}
        own = known.get(path, path.removeprefix("docs/") if path.startswith("docs/") else "")
        return relpath(own, str(site)) if own else f"{config.repo_url}/blob/main/{path}"

    return _LIST_BEHIND_TEXT.sub(r"\1\n", _LINK.sub(target, markdown))
