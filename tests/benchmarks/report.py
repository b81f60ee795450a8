"""Print the results as text or Markdown tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks.taps import PLAIN, RIGHT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tests.benchmarks.compare import Row, Table
    from tests.benchmarks.thresholds import Bar

RESULTS: Final = Path(__file__).with_name("results.json")
"""The last full measurement; the figures and the chart of the performance page are made from it."""

_HEADER: Final = ("", "seconds", "CPU s", "records/s", "MB/s", "peak MB", "times ours")


def _cells(table: Table, row: Row) -> tuple[str, ...]:
    return (
        row.name,
        f"{row.seconds:.2f}",
        f"{row.processor_seconds:.2f}",
        f"{row.records / row.seconds:,.0f}" if row.records else "",
        f"{table.plain_bytes / row.seconds / 10**6:,.0f}" if table.plain_bytes else "",
        f"{row.peak_mb:.0f}",
        f"{row.seconds / table.rows[0].seconds:.1f}",
    )


def lines(header: Sequence[str], rows: Sequence[Sequence[str]], *, markdown: bool) -> Iterator[str]:
    """Format a table with the first column left-aligned and the others right-aligned.

    Args:
        header: of its columns.
        rows: its cells.
        markdown: whether to draw it in Markdown.

    Yields:
        Its lines.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    edge = "| " if markdown else ""
    for number, cells in enumerate((header, *rows)):
        first, *others = (
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        yield edge + (" | " if markdown else "  ").join((first, *others)) + edge[::-1]
        if markdown and number == 0:
            yield "|" + "|".join("---" if place == 0 else "---:" for place, _ in enumerate(header)) + "|"


def shown(tables: Iterable[Table], *, markdown: bool) -> Iterator[str]:
    """Format the tables.

    Args:
        tables: what was measured.
        markdown: whether to draw them in Markdown.

    Yields:
        Lines.
    """
    for table in tables:
        number = next((row.records for row in table.rows if row.records), None)
        size = f" ({number:,} records, {table.plain_bytes / 10**6:,.0f} MB)" if number and table.plain_bytes else ""
        yield f"**{table.title}**{size}" if markdown else f"{table.title}{size}"
        yield ""
        yield from lines(_HEADER, [_cells(table, row) for row in table.rows], markdown=markdown)
        if table.limits or table.notes:
            yield ""
        for what, seconds in table.limits.items():
            speed = table.plain_bytes / seconds / 10**6
            yield f"- This machine's limit, {what} the same bytes: {seconds:.2f} s, {speed:,.0f} MB/s."
        yield from (f"- {note}" for note in table.notes)
        yield ""


def judged(thresholds: Sequence[Bar], *, markdown: bool) -> Iterator[str]:
    """Format the results of the goals.

    Args:
        thresholds: of a run.
        markdown: whether to draw them in Markdown.

    Yields:
        Lines.
    """
    header = ("to be reached", "measured", "goal", "")
    rows = [(bar.what, bar.reached, bar.goal, "✔" if bar.is_met else "✘") for bar in thresholds]
    yield from lines(header, rows, markdown=markdown)


def summary(tables: Sequence[Table]) -> Iterator[str]:
    """Format the figures of the performance page, in Markdown.

    Args:
        tables: of one run, or of several.

    Yields:
        Lines.
    """
    compared = [table for table in tables if table.ratio(PLAIN) and table.rows[0].records]
    header = ("this tap reads", "records", "seconds", "records/s", "peak MB", "plain SDK tap, relative time")
    rows = []
    for table in compared:
        ours, ratio = table.rows[0], table.ratio(RIGHT) or table.ratio(PLAIN)
        number = ours.records or 0
        cells = (f"{number:,}", f"{ours.seconds:.2f}", f"{number / ours.seconds:,.0f}", f"{ours.peak_mb:.0f}")
        rows.append((table.title, *cells, f"{ratio:.1f} x"))
    yield from lines(header, rows, markdown=True)
    for table in compared:
        others = [(row, table.ratio(row.name)) for row in table.rows[1:] if row.name not in {PLAIN, RIGHT}]
        if others:
            yield ""
            named = [(row.name, f"{row.seconds:.2f}", f"{ratio:.1f} x") for row, ratio in others]
            columns = (f"{table.title}, other tools", "seconds", "time relative to this tap")
            yield from lines(columns, named, markdown=True)
