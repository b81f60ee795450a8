"""Compare commands: count their records once, then time them alternately, so that disturbances affect all of them."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from tests.benchmarks.processes import Run, measure, peak_of_tree, records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.processes import Variant

_PAUSE_SECONDS: Final = 0.3
_TRIES: Final = 3


@dataclass
class Row:
    """The measurements of one variant.

    Attributes:
        name: of the variant.
        runs: one entry per timed process.
        records: number of records emitted; None if not counted.
        tree_mb: peak of the process with all its children, shared memory counted once; None if not measured.
    """

    name: str
    runs: list[Run] = field(default_factory=list)
    records: int | None = None
    tree_mb: float | None = None

    @property
    def seconds(self) -> float:
        """Median wall-clock time of the whole process."""
        return median(run.seconds for run in self.runs)

    @property
    def processor_seconds(self) -> float:
        """Median CPU time."""
        return median(run.processor_seconds for run in self.runs)

    @property
    def peak_mb(self) -> float:
        """Largest resident set of all runs, or peak of the process tree if that is larger."""
        return max(*(run.peak_mb for run in self.runs), self.tree_mb or 0.0)


@dataclass
class Table:
    """Variants that do the same work; this tap comes first.

    Attributes:
        name: of the benchmark.
        title: what is read.
        plain_bytes: uncompressed size of the vendor's JSON or CSV.
        rows: of the variants.
        notes: remarks printed below the table.
        scale: multiple of the base size, in a series.
        limits: seconds of the machine's lower bounds for the same bytes.
    """

    name: str
    title: str
    plain_bytes: int
    rows: list[Row]
    notes: list[str] = field(default_factory=list)
    scale: int | None = None
    limits: dict[str, float] = field(default_factory=dict)

    def ratio(self, name: str) -> float | None:
        """Return a variant's time divided by this tap's.

        Args:
            name: of the variant.

        Returns:
            The ratio of the medians; None if the variant is missing.
        """
        other = next((row for row in self.rows if row.name == name), None)
        return other.seconds / self.rows[0].seconds if other else None

    def as_json(self) -> dict[str, Any]:
        """Return all measurements as JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "plain_bytes": self.plain_bytes,
            "scale": self.scale,
            "notes": self.notes,
            "limits": self.limits,
            "rows": [
                {
                    "name": row.name,
                    "seconds": row.seconds,
                    "processor_seconds": row.processor_seconds,
                    "peak_mb": row.peak_mb,
                    "tree_mb": row.tree_mb,
                    "records": row.records,
                    "ratio": row.seconds / self.rows[0].seconds,
                    "runs": [run.__dict__ for run in row.runs],
                }
                for row in self.rows
            ],
        }

    @classmethod
    def from_json(cls, measured: dict[str, Any]) -> Table:
        """Restore a table from the output of `as_json`."""
        rows = [
            Row(row["name"], [Run(**run) for run in row["runs"]], row["records"], row["tree_mb"])
            for row in measured["rows"]
        ]
        names = ("name", "title", "plain_bytes", "notes", "scale", "limits")
        return cls(rows=rows, **{name: measured[name] for name in names})


def say(text: str) -> None:
    """Print progress to stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def undisturbed(variant: Variant) -> Run:
    """Time a run; repeat it if the machine stalled, which says nothing about the variant.

    Args:
        variant: the command.

    Returns:
        The measurement.
    """
    for _ in range(_TRIES):
        run = measure(variant)
        if run.pause < _PAUSE_SECONDS:
            break
        say(f"The machine stalled for {run.pause:.1f} s: repeating the run.")
    return run


def compare(  # noqa: PLR0913 -- what may differ between two comparisons
    name: str,
    title: str,
    variants: Sequence[Variant],
    *,
    rounds: int,
    plain_bytes: int = 0,
    counted: bool = True,
    trees: bool = True,
) -> Table:
    """Count each variant's records, which also warms up caches, then time the variants alternately.

    Args:
        name: of the benchmark.
        title: what is read.
        variants: this tap first.
        rounds: how often each variant is timed.
        plain_bytes: of the vendor's JSON or CSV.
        counted: whether to count the records in a preceding run.
        trees: whether to measure the memory of all processes of this tap.

    Returns:
        The table.
    """
    table = Table(name, title, plain_bytes, [Row(variant.name) for variant in variants])
    for variant, row in zip(variants, table.rows, strict=True):
        if counted:
            say(f"{name}: counting {variant.name}")
            row.records = records(variant)
    if len({row.records for row in table.rows}) > 1 or 0 in {row.records for row in table.rows}:
        table.notes.append("THE VARIANTS DID NOT EMIT THE SAME NUMBER OF RECORDS.")
    for number in range(rounds):
        for variant, row in zip(variants, table.rows, strict=True):
            row.runs.append(undisturbed(variant))
            say(f"{name}: round {number + 1} of {rounds}, {variant.name}: {row.runs[-1].seconds:.2f} s")
    if trees:
        table.rows[0].tree_mb = peak_of_tree(variants[0])
    return table
