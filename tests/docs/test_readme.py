"""The README says what the tap says of itself."""

from __future__ import annotations

import re
from typing import Final

from tap_cdp_export.tap import VENDORS
from tests.docs.pages import table
from tests.helpers.about import ROOT, streams

README: Final = (ROOT / "README.md").read_text(encoding="utf-8")


def bash_blocks() -> list[str]:
    """The commands of the README."""
    return re.findall(r"^```bash\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_the_first_two_bash_blocks_are_one_command_line_each() -> None:
    main_job, tests = bash_blocks()[:2]
    assert main_job.count("\n") == tests.count("\n") == 1
    assert "meltano run tap-cdp-export target-duckdb" in main_job
    assert "output/cdp.duckdb" in main_job
    assert "pytest" in tests


def test_the_streams_table_has_what_the_catalog_always_has() -> None:
    always = [name for vendor in VENDORS for name, stream in vendor.streams.items() if not stream.is_on_request]
    expected = [
        f"| `{name}` | {', '.join(f'`{key}`' for key in entry['key_properties'])} | {entry['replication_method']} |"
        for name, entry in ((name, streams()[name]) for name in always)
    ]
    found = [row.rsplit(" | ", 1)[0] + " |" for row in table(README, "| stream |")]
    assert sorted(found) == sorted(expected)


def test_the_page_can_be_read_at_one_sitting() -> None:
    assert README.count("\n") <= 250
