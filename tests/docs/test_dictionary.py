"""The data dictionary is that of the catalog."""

from __future__ import annotations

from tap_cdp_export.tap import VENDORS
from tests.docs.pages import tracked
from tests.write_dictionary import FOLDER, pages


def test_the_pages_are_up_to_date() -> None:
    written = {path: path.read_text(encoding="utf-8") for path in tracked("docs/dictionary/*.md")}
    assert written == pages(), "python -m tests.write_dictionary"


def test_every_stream_has_a_section_with_a_description() -> None:
    for vendor in VENDORS:
        page = pages()[FOLDER / f"{vendor.name}.md"]
        for name, stream in vendor.streams.items():
            assert f"\n## {name}\n\n{str(stream.__doc__)[:20]}" in page
