"""Writes the results of the cookbook's queries, and draws its charts: `python -m tests.write_cookbook`.

The charts need the extra `picture`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.docs.charts import CHARTS, draw
from tests.docs.cookbook import PAGE, load, recipes, renewed, run


def main() -> None:
    """Write the page and the charts."""
    page = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        results = run(load(Path(folder)), [recipe.query for recipe in recipes(page)])
    PAGE.write_text(renewed(page, results), encoding="utf-8")
    for chart in CHARTS:
        draw(chart, results)


if __name__ == "__main__":
    main()
