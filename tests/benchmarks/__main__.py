"""`python -m tests.benchmarks`: benchmark the tap against the tools its users might choose instead."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.compare import Table
from tests.benchmarks.report import judged, shown, summary
from tests.benchmarks.suite import BENCHMARKS, DEFAULT, Plan
from tests.benchmarks.thresholds import thresholds

if TYPE_CHECKING:
    from collections.abc import Iterable

_QUICK_ROUNDS = 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    all_names, usual = ", ".join(BENCHMARKS), ", ".join(DEFAULT)
    parser.add_argument("names", nargs="*", metavar="benchmark", help=f"which of {all_names}; by default {usual}")
    parser.add_argument("--rounds", type=int, default=3, help="how often each command is timed (3)")
    parser.add_argument("--quick", action="store_true", help="small data, two rounds, nothing to be installed")
    parser.add_argument("--sizes", action="store_true", help="also 1, 10 and 100 times a base size")
    parser.add_argument("--large", action="store_true", help="also both taps at the usual size and at ten times that")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements to this file")
    parser.add_argument("--take", type=Path, metavar="FILE", nargs="+", help="measure nothing, take these JSON files")
    parser.add_argument("--markdown", action="store_true", help="print the tables in Markdown")
    parser.add_argument("--summary", action="store_true", help="print only the figures of the performance page")
    parser.add_argument("--picture", action="store_true", help="draw results.svg; needs matplotlib")
    return parser


def _run_benchmarks(names: list[str], arguments: argparse.Namespace) -> list[Table]:
    """Run the benchmarks and print each table as soon as it is complete."""
    tables: list[Table] = []
    with tempfile.TemporaryDirectory() as folder:
        rounds = _QUICK_ROUNDS if arguments.quick else arguments.rounds
        plan = Plan(rounds, arguments.quick, Path(folder))
        for name in names:
            new_tables = BENCHMARKS[name](plan)
            tables += new_tables
            _print(shown(new_tables, markdown=arguments.markdown))
            if arguments.json:
                arguments.json.write_text(_results_json(tables))
    return tables


def _results_json(tables: list[Table]) -> str:
    return json.dumps([table.as_json() for table in tables], indent=1) + "\n"


def _read_results(files: list[Path]) -> list[Table]:
    return [Table.from_json(measured) for file in files for measured in json.loads(file.read_bytes())]


def _print(lines: Iterable[str]) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run the benchmarks, or read results, and print them.

    Returns:
        Exit code: 1 if a goal is missed.
    """
    parser = _parser()
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    series = [name for name in ("sizes", "large") if getattr(arguments, name)]
    names = list(dict.fromkeys([*(arguments.names or DEFAULT), *series]))
    tables = _read_results(arguments.take) if arguments.take else _run_benchmarks(names, arguments)
    if arguments.take and arguments.json:
        arguments.json.write_text(_results_json(tables))
    if arguments.summary:
        _print(summary(tables))
        return 0
    if arguments.take:
        _print(shown(tables, markdown=arguments.markdown))
    if arguments.picture:
        from tests.benchmarks.picture import draw  # noqa: PLC0415 -- matplotlib is an extra

        draw(tables)
    if arguments.quick:
        return 0
    bars = list(thresholds(tables))
    _print(judged(bars, markdown=arguments.markdown))
    return 0 if all(bar.is_met for bar in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
