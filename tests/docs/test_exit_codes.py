"""The page of exit codes explains each of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tap_cdp_export import errors
from tap_cdp_export.errors import CdpExportError
from tests.docs.pages import table
from tests.helpers.about import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator


def exit_codes(kind: type[CdpExportError] = CdpExportError) -> Iterator[int]:
    """The exit codes of all errors."""
    yield kind.exit_code
    for inner in kind.__subclasses__():
        yield from exit_codes(inner)


def test_every_exit_code_is_explained() -> None:
    rows = table((ROOT / "docs" / "state.md").read_text(encoding="utf-8"), "| exit |")
    named = {int(code) for row in rows for code in re.findall(r"\d+", row.split("|")[1])}
    assert named == {0, 130, 143, *exit_codes()}
    assert errors.__doc__
