"""Where encoded records go in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_cdp_export.messages import Lines, encode_lines

if TYPE_CHECKING:
    from collections.abc import Iterable


class Columns:
    """Takes records with some columns, as a stream does that writes BATCH files.

    Attributes:
        selected_columns: their names.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.selected_columns = list(names)

    def encode_lines(self, records: list[Any]) -> Lines:
        return encode_lines(records)
