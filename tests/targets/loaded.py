"""A loaded database, queried with SQL that both databases support."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

START = "2026-10-11T00:00:00Z"
FIRST_END = "2026-11-10T12:00:00Z"
SECOND_END = "2026-11-12T12:00:00Z"

KEYS = {
    "users": ("dataset_id", "name"),
    "accounts": ("dataset_id", "name"),
    "apsis_profiles": ("profile_key", "section_id"),
    "apsis_events": ("profile_key", "section_id", "event_key"),
    "braze_users": ("segment_id", "braze_id"),
}


@dataclass
class Loaded:
    """A database and its history.

    Attributes:
        target: the loader that filled it.
        query: runs SQL.
        counts: rows of each table after each run.
    """

    target: str
    query: Callable[[str], list[tuple[Any, ...]]]
    counts: list[dict[str, int]] = field(default_factory=list)

    def count_rows(self) -> dict[str, int]:
        """Count the rows of every table, duplicates included."""
        return {stream: self.query(f"SELECT count(*) FROM tap_cdp_export.{stream}")[0][0] for stream in KEYS}  # noqa: S608 -- our names

    def column(self, stream: str, name: str) -> dict[tuple[Any, ...], Any]:
        """Read a column, keyed by primary key."""
        keys = ", ".join(KEYS[stream])
        rows = self.query(f"SELECT {keys}, {name} FROM tap_cdp_export.{stream}")  # noqa: S608 -- our names
        return {row[:-1]: row[-1] for row in rows}

    def count_nulls(self, stream: str, names: list[str]) -> dict[str, int]:
        """Count the rows without a value, by column."""
        found = self.types(stream)
        present = [name for name in names if name in found]
        counts = ", ".join(f'count(*) - count("{name}")' for name in present)
        (row,) = self.query(f"SELECT {counts} FROM tap_cdp_export.{stream}")  # noqa: S608 -- our names
        return dict(zip(present, row, strict=True))

    def types(self, stream: str) -> dict[str, str]:
        """Read the columns' types."""
        return dict(
            self.query(
                "SELECT column_name, data_type FROM information_schema.columns"  # noqa: S608 -- our names
                f" WHERE table_schema = 'tap_cdp_export' AND table_name = '{stream}'"
            )
        )

    def primary_key(self, stream: str) -> list[str]:
        """Read the columns of the primary key."""
        rows = self.query(
            "SELECT k.column_name FROM information_schema.table_constraints c"  # noqa: S608 -- our names
            " JOIN information_schema.key_column_usage k"
            " ON k.constraint_name = c.constraint_name AND k.table_name = c.table_name"
            " WHERE c.constraint_type = 'PRIMARY KEY' AND c.table_schema = 'tap_cdp_export'"
            f" AND c.table_name = '{stream}' ORDER BY k.ordinal_position"
        )
        return [name for (name,) in rows]


def from_json(value: Any) -> Any:
    """Decode a JSON column's value: DuckDB returns text, PostgreSQL returns objects."""
    return json.loads(value) if isinstance(value, str) else value
