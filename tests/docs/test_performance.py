"""The performance page has the figures that were measured."""

from __future__ import annotations

import json

from tests.benchmarks.compare import Table
from tests.benchmarks.report import RESULTS, summary
from tests.helpers.about import ROOT


def test_the_figures_are_those_of_the_last_measurement() -> None:
    tables = [Table.from_json(measured) for measured in json.loads(RESULTS.read_bytes())]
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert "\n".join(summary(tables)) in page, (
        "python -m tests.benchmarks --take tests/benchmarks/results.json --summary"
    )
