"""Five targets, and the host between two runs: what of a run's output outlives it.

The warehouse upserts by key, and the later record wins. Rows and STATE become durable together, or late, or
only at the end; a target may be slow, or die after some lines (the readers of `scene` do both).
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, Final

Row = dict[str, Any]
Key = tuple[Any, ...]
Tables = dict[str, dict[Key, Row]]

_BATCH: Final = 50


class Target:
    """Durable at once, line by line: a transactional target.

    Attributes:
        tables: what is durable, by stream and key.
        state: the last durable STATE of this run; None if there is none.
    """

    def __init__(self, tables: Tables) -> None:
        """Go on with what earlier runs have left."""
        self.tables = tables
        self.state: Row | None = None
        self._keys: dict[str, list[str]] = {}

    def take(self, message: Row) -> None:
        """Take one message in."""
        if message["type"] == "SCHEMA":
            self._keys[message["stream"]] = message["key_properties"]
            self.tables.setdefault(message["stream"], {})
        elif message["type"] == "RECORD":
            self.take_row(message["stream"], message["record"])
        elif message["type"] == "STATE":
            self.take_state(message["value"])

    def take_row(self, stream: str, row: Row) -> None:
        """Take one row in."""
        self.store(stream, row)

    def take_state(self, state: Row) -> None:
        """Take a STATE in."""
        self.state = state

    def store(self, stream: str, row: Row) -> None:
        """Make a row durable."""
        self.tables[stream][tuple(row[name] for name in self._keys[stream])] = row

    def end(self) -> None:
        """The input has ended, whatever became of the tap."""


class LateDrainer(Target):
    """As the SDK's targets: full batches are drained, the rest and STATE only at the end of the input."""

    def __init__(self, tables: Tables) -> None:
        """Hold nothing back yet."""
        super().__init__(tables)
        self._rows: list[tuple[str, Row]] = []
        self._held: Row | None = None

    def take_row(self, stream: str, row: Row) -> None:
        """Hold a row back until its batch is full."""
        self._rows.append((stream, row))
        if len(self._rows) >= _BATCH:
            self._drain()

    def take_state(self, state: Row) -> None:
        """Hold STATE back."""
        self._held = state

    def _drain(self) -> None:
        for stream, row in self._rows:
            self.store(stream, row)
        self._rows.clear()

    def end(self) -> None:
        """Drain, then make STATE durable."""
        self._drain()
        self.state = self._held


class StateAtEnd(Target):
    """Rows are durable at once, STATE only at the end of the input."""

    def __init__(self, tables: Tables) -> None:
        """Hold no STATE yet."""
        super().__init__(tables)
        self._held: Row | None = None

    def take_state(self, state: Row) -> None:
        """Hold STATE back."""
        self._held = state

    def end(self) -> None:
        """Make STATE durable."""
        self.state = self._held


class Killed(LateDrainer):
    """Holds back as the SDK's targets do, and is killed with the tap: what it held is lost."""

    def end(self) -> None:
        """Lose it."""


TARGETS: Final[dict[str, type[Target]]] = {
    "transactional": Target,
    "late drainer": LateDrainer,
    "state at end": StateAtEnd,
    "killed": Killed,
}


class Host:
    """Keeps STATE between two runs.

    Attributes:
        state: what the next run starts with.
    """

    MERGING: ClassVar[bool] = False

    def __init__(self) -> None:
        """Keep nothing yet."""
        self.state: Row | None = None

    def keep(self, state: Row | None) -> None:
        """Keep what a target has made durable, if anything."""
        if state is not None:
            merged = _merged(self.state or {}, state) if self.MERGING else state
            self.state = json.loads(json.dumps(merged))


class MergingHost(Host):
    """Merges STATE deeply into what it has, as Meltano does with partial states: a key is never deleted."""

    MERGING = True


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}
    return new
