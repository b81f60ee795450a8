"""`python -m tests.write_targets`: load into every target, and write what was found into `docs/targets.md`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.helpers.about import streams
from tests.helpers.environments import NotInstallable, environment
from tests.targets import warehouse_types
from tests.targets.loaded import KEYS
from tests.targets.proofs import CHECKS, Emissions, Proof, prove
from tests.targets.stores import Services
from tests.targets.streams import columns
from tests.targets.targets import BATCH, TARGETS, Target

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE: Final = Path(__file__).parent.parent / "docs" / "targets.md"
MARKS: Final = ("<!-- made by python -m tests.write_targets -->\n", "<!-- end -->\n")
WAREHOUSES: Final = {
    "snowflake": ("meltanolabs-target-snowflake==0.20.4",),
    "bigquery": ("z3-target-bigquery==0.7.2", "setuptools<81"),
}
_KINDS: Final = ("text", "time", "integer", "number", "boolean", "object", "array")


def results(proofs: dict[str, Proof]) -> list[str]:
    """Build the table of results."""
    head = ["target", *CHECKS, "gone at the vendor"]
    lines = [_row(head), _row("---" for _ in head)]
    for target in TARGETS:
        proof = proofs[target.name]
        cells = ["**no**" if check in proof.problems else "yes" for check in CHECKS]
        lines.append(_row([target.name, *cells, " / ".join(dict.fromkeys(proof.gone))]))
    return lines


def description(target: Target) -> list[str]:
    """Describe a target: what to install, the settings, what fails and why."""
    lines = [f"### {target.name}", ""]
    package = " ".join(f"`{package}`" for package in target.packages) or "the extra `duckdb` of this project"
    lines += [f"Package: {package}; command `{target.command}`. Settings beside the place and its credentials:", ""]
    lines += ["```json", json.dumps(target.settings, indent=2), "```", ""]
    if target.tap:
        tap = json.loads(json.dumps(target.tap))
        if target.tap == BATCH:
            tap["batch_config"]["storage"] = {"root": "file:///path/that/both/see"}
        lines += ["Settings of the tap:", "", "```json", json.dumps(tap, indent=2), "```", ""]
    if target.appends:
        lines += ["It only appends: [the last row of a key](#targets-that-append) is the current one.", ""]
    lines += [f"- **{check}**: {reason}." for check, reason in target.fails.items()]
    lines += [*([""] if target.fails else []), *([target.notes, ""] if target.notes else [])]
    return lines


def warehouse_table() -> list[str]:
    """Build the table of the columns' types in the warehouses that need an account."""
    found = {name: _types(name) for name in WAREHOUSES}
    lines = [_row(["column holds", "Snowflake", "BigQuery"]), _row(["---"] * 3)]
    for kind in _KINDS:
        names = [(stream, column) for stream in KEYS for column, held in columns(stream).items() if held == kind]
        if names:
            cells = [", ".join(sorted({types[place] for place in names})) for types in found.values()]
            lines.append(_row([kind, *cells]))
    return lines


def _types(warehouse: str) -> dict[tuple[str, str], str]:
    """Ask a target in its environment for the statements that create the tables; return the columns' types."""
    schemas = [{"type": "SCHEMA", "stream": stream, **_schema(stream)} for stream in KEYS]
    done = subprocess.run(
        [environment(*WAREHOUSES[warehouse]) / "python", "-W", "ignore", warehouse_types.__file__, warehouse],
        input="\n".join(map(json.dumps, schemas)),
        capture_output=True,
        text=True,
        check=True,
    )
    types = {}
    for stream, statement in zip(KEYS, json.loads(done.stdout), strict=True):
        for line in statement.splitlines()[1:-1]:
            name, _, rest = line.strip().rstrip(", ").partition(" ")
            types[stream, name] = rest.replace(" NOT NULL", "")
    return types


def _schema(stream: str) -> dict[str, Any]:
    entry = streams()[stream]
    return {"schema": entry["schema"], "key_properties": entry["key_properties"]}


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def page(proofs: dict[str, Proof]) -> str:
    """Put the results into the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    parts = ["## Results", "", *results(proofs), "", "## Each target", ""]
    for target in TARGETS:
        parts += description(target)
    parts += ["## Types in Snowflake and BigQuery", "", *warehouse_table(), ""]
    return before + MARKS[0] + "\n" + "\n".join(parts) + MARKS[1] + after


def main() -> int:
    """Load into every target; a result that its definition does not expect is an error."""
    proofs: dict[str, Proof] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        services, emissions = Services(stack), Emissions(Path(name))
        for number, target in enumerate(TARGETS):
            folder = Path(name, f"target-{number}")
            folder.mkdir()
            try:
                proofs[target.name] = proof = prove(target, folder, services, emissions)
            except NotInstallable as error:
                sys.stderr.write(f"{target.name}: not installable here: {error}\n")
                return 1
            sys.stderr.write(f"{target.name}: {proof}\n")
            if not is_expected(target, proof):
                return 1
        PAGE.write_text(page(proofs), encoding="utf-8")
    return 0


def is_expected(target: Target, proof: Proof) -> bool:
    """Whether what was found is what the target's definition says."""
    return proof.problems.keys() == target.fails.keys() and proof.gone == target.gone


if __name__ == "__main__":
    sys.exit(main())
