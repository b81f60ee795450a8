"""Models of targets, and of what keeps STATE between runs.

The warehouse upserts by key, and the later record wins. Rows and STATE are committed together, in batches, or only
at the end. Slow and dying targets are readers, see `history`.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, Final

Row = dict[str, Any]
Key = tuple[Any, ...]
Tables = dict[str, dict[Key, Row]]

_BATCH: Final = 50


class Target:
    """A transactional target, which commits every message at once.

    Attributes:
        tables: Committed rows, by stream and key.
        state: Last committed STATE of this run, or None.
    """

    def __init__(self, tables: Tables) -> None:
        """Continue with the rows of earlier runs."""
        self.tables = tables
        self.state: Row | None = None
        self._keys: dict[str, list[str]] = {}

    def process(self, message: Row) -> None:
        """Process one message."""
        if message["type"] == "SCHEMA":
            self._keys[message["stream"]] = message["key_properties"]
            self.tables.setdefault(message["stream"], {})
        elif message["type"] == "RECORD":
            self.process_row(message["stream"], message["record"])
        elif message["type"] == "STATE":
            self.process_state(message["value"])

    def process_row(self, stream: str, row: Row) -> None:
        """Process one row."""
        self.write_row(stream, row)

    def process_state(self, state: Row) -> None:
        """Process a STATE."""
        self.state = state

    def write_row(self, stream: str, row: Row) -> None:
        """Commit a row."""
        self.tables[stream][tuple(row[name] for name in self._keys[stream])] = row

    def end(self) -> None:
        """Handle the end of the input, which also comes if the tap dies."""


class LateDrainer(Target):
    """Commits full batches at once, and the last batch and STATE at the end of the input, as the SDK's targets do."""

    def __init__(self, tables: Tables) -> None:
        """Start with empty buffers."""
        super().__init__(tables)
        self._pending_rows: list[tuple[str, Row]] = []
        self._pending_state: Row | None = None

    def process_row(self, stream: str, row: Row) -> None:
        """Buffer a row until its batch is full."""
        self._pending_rows.append((stream, row))
        if len(self._pending_rows) >= _BATCH:
            self._drain()

    def process_state(self, state: Row) -> None:
        """Buffer STATE until the end of the input."""
        self._pending_state = state

    def _drain(self) -> None:
        for stream, row in self._pending_rows:
            self.write_row(stream, row)
        self._pending_rows.clear()

    def end(self) -> None:
        """Commit the last batch, then STATE."""
        self._drain()
        self.state = self._pending_state


class StateAtEnd(Target):
    """Commits rows at once, and STATE at the end of the input."""

    def __init__(self, tables: Tables) -> None:
        """Start with an empty buffer."""
        super().__init__(tables)
        self._pending_state: Row | None = None

    def process_state(self, state: Row) -> None:
        """Buffer STATE until the end of the input."""
        self._pending_state = state

    def end(self) -> None:
        """Commit STATE."""
        self.state = self._pending_state


class Killed(LateDrainer):
    """Buffers as `LateDrainer` does, and is killed with the tap, so that its buffers are lost."""

    def end(self) -> None:
        """Discard the buffers."""


TARGETS: Final[dict[str, type[Target]]] = {
    "transactional": Target,
    "late drainer": LateDrainer,
    "state at end": StateAtEnd,
    "killed": Killed,
}


class StateStore:
    """Keeps STATE between two runs.

    Attributes:
        state: STATE that the next run starts with.
    """

    MERGING: ClassVar[bool] = False

    def __init__(self) -> None:
        """Start without STATE."""
        self.state: Row | None = None

    def save(self, state: Row | None) -> None:
        """Save the STATE that a target has committed, if any."""
        if state is not None:
            merged = _merge(self.state or {}, state) if self.MERGING else state
            self.state = json.loads(json.dumps(merged))


class MergingStateStore(StateStore):
    """Merges STATE deeply into the previous one, as Meltano does with partial states; no key is ever deleted."""

    MERGING = True


def _merge(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: _merge(old.get(key), value) for key, value in new.items()}}
    return new
