"""The README says what the tap says of itself."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tap_cdp_export import errors
from tap_cdp_export.errors import CdpExportError
from tests.benchmarks.compare import Table
from tests.benchmarks.report import RESULTS, summary
from tests.helpers.about import ROOT, Setting, settings, streams

if TYPE_CHECKING:
    from collections.abc import Iterator

README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTINGS = "| setting |"


def bash_blocks() -> list[str]:
    """The commands of the README."""
    return re.findall(r"^```bash\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def table(head: str) -> list[str]:
    """The rows of the table whose head begins so."""
    rows = README.partition(f"\n{head}")[2].partition("\n\n")[0].splitlines()
    return rows[2:]


def settings_table() -> list[str]:
    """The rows that the settings table must have."""
    return [f"| `{s.name}` | {kind(s)} | {default(s)} | {meaning(s)} |" for s in settings()]


def meaning(setting: Setting) -> str:
    """Give the description, its angle brackets kept from being taken for HTML."""
    return str(setting.schema["description"]).replace("<", "\\<")


def kind(setting: Setting) -> str:
    """Say what a setting's value must be."""
    if "enum" in setting.schema:
        return " or ".join(f"`{value}`" for value in setting.schema["enum"])
    name = "date-time" if setting.schema.get("format") == "date-time" else setting.type
    return f"{name}, secret" if setting.is_secret else name


def default(setting: Setting) -> str:
    """Say what holds without the setting."""
    if setting.required:
        return "required"
    if "default" not in setting.schema:
        return "none"
    value = setting.schema["default"]
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def exit_codes(kind: type[CdpExportError] = CdpExportError) -> Iterator[int]:
    """The exit codes of all errors."""
    yield kind.exit_code
    for inner in kind.__subclasses__():
        yield from exit_codes(inner)


def test_the_first_two_bash_blocks_are_one_command_line_each() -> None:
    main_job, tests = bash_blocks()[:2]
    assert main_job.count("\n") == tests.count("\n") == 1
    assert "meltano run tap-cdp-export target-duckdb" in main_job
    assert "output/cdp.duckdb" in main_job
    assert "pytest" in tests


def test_the_settings_table_is_that_of_about() -> None:
    assert table(SETTINGS) == settings_table(), "python -m tests.write_settings"


def test_the_streams_table_is_that_of_the_catalog() -> None:
    expected = [
        f"| `{name}` | {', '.join(f'`{key}`' for key in entry['key_properties'])} | {entry['replication_method']} |"
        for name, entry in sorted(streams().items())
    ]
    found = [row.rsplit(" | ", 1)[0] + " |" for row in table("| stream |")]
    assert sorted(found) == expected


def test_the_figures_are_those_that_were_measured() -> None:
    tables = [Table.from_json(told) for told in json.loads(RESULTS.read_bytes())]
    command = "python -m tests.benchmarks --take tests/benchmarks/results.json --summary"
    assert "\n".join(summary(tables)) in README, command


def test_every_exit_code_is_explained() -> None:
    named = {int(code) for row in table("| exit |") for code in re.findall(r"\d+", row.split("|")[1])}
    assert named == {0, 130, 143, *exit_codes()}
    assert errors.__doc__
