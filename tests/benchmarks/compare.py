"""Commands side by side: counted once, then timed in turns, so that what disturbs the machine disturbs all."""

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
    """What one variant took.

    Attributes:
        name: of the variant.
        runs: each whole process.
        records: that it emitted; None where it has none.
        tree_mb: peak of the process with all its children, shared memory counted once; None if not looked at.
    """

    name: str
    runs: list[Run] = field(default_factory=list)
    records: int | None = None
    tree_mb: float | None = None

    @property
    def seconds(self) -> float:
        """Median of the whole process's time."""
        return median(run.seconds for run in self.runs)

    @property
    def processor_seconds(self) -> float:
        """Median of the time on processors."""
        return median(run.processor_seconds for run in self.runs)

    @property
    def peak_mb(self) -> float:
        """Largest resident set, or sum of a tree of processes, of all runs."""
        return max(*(run.peak_mb for run in self.runs), self.tree_mb or 0.0)


@dataclass
class Table:
    """Variants that do the same work, ours first.

    Attributes:
        name: of the benchmark.
        title: what is read.
        plain_bytes: of the vendor's JSON or CSV.
        rows: of the variants.
        notes: what a reader must know.
        scale: how many times the base size, in a series.
        limits: seconds of what this machine could do at best with the same bytes.
    """

    name: str
    title: str
    plain_bytes: int
    rows: list[Row]
    notes: list[str] = field(default_factory=list)
    scale: int | None = None
    limits: dict[str, float] = field(default_factory=dict)

    def ratio(self, name: str) -> float | None:
        """Tell how many times as long a variant takes as ours.

        Args:
            name: of the variant.

        Returns:
            The ratio of the medians; None if the variant is missing.
        """
        found = next((row for row in self.rows if row.name == name), None)
        return found.seconds / self.rows[0].seconds if found else None

    def as_json(self) -> dict[str, Any]:
        """Give everything that was measured."""
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
    def from_json(cls, told: dict[str, Any]) -> Table:
        """Take up what `as_json` gave."""
        rows = [
            Row(row["name"], [Run(**run) for run in row["runs"]], row["records"], row["tree_mb"])
            for row in told["rows"]
        ]
        names = ("name", "title", "plain_bytes", "notes", "scale", "limits")
        return cls(rows=rows, **{name: told[name] for name in names})


def say(text: str) -> None:
    """Tell the one who waits what is being done."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def undisturbed(variant: Variant) -> Run:
    """Time a run; once more if the machine stood still in it, which says nothing about the variant.

    Args:
        variant: the command.

    Returns:
        What it took.
    """
    for _ in range(_TRIES):
        run = measure(variant)
        if run.pause < _PAUSE_SECONDS:
            break
        say(f"The machine stood still for {run.pause:.1f} s: once more.")
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
    """Count what each variant emits, which warms everything up too, then time them in turns.

    Args:
        name: of the benchmark.
        title: what is read.
        variants: ours first.
        rounds: how often each is timed.
        plain_bytes: of the vendor's JSON or CSV.
        counted: whether to count their records, in a run before.
        trees: whether to look at the memory of all processes of ours.

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
