"""Where encoded records go in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_cdp_export.records.batch import EncodedRecords, encode_columns
from tap_cdp_export.singer.column_maps import column_map
from tests.helpers.stream_maps import STREAM, stream_map

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Columns:
    """Takes records with some columns, as a stream does that writes BATCH files.

    Attributes:
        selected_columns: their names.
    """

    def __init__(
        self, names: Iterable[str], *, schema: dict[str, Any] | None = None, definition: dict[str, Any] | None = None
    ) -> None:
        """Choose columns, and a stream map over them.

        Args:
            names: of the columns.
            schema: of the stream, where there is a map.
            definition: of the map, if there is one; it must do without whole records.
        """
        self.selected_columns = list(names)
        properties = (schema or {}).get("properties", {})
        chosen = {name: properties[name] for name in self.selected_columns} if definition else {}
        self._map = stream_map(chosen, definition) if definition else None
        self._column_map = column_map(self._map, {STREAM: definition}, STREAM, chosen) if self._map else None
        assert bool(self._map) == bool(self._column_map)

    def encode_columns(self, columns: Mapping[str, Iterable[Any]]) -> EncodedRecords:
        mapped, left_out = self._column_map.apply(columns) if self._column_map else (columns, 0)
        return encode_columns(mapped)._replace(left_out=left_out)

    def of_record(self, record: dict[str, Any]) -> dict[str, Any] | None:
        """Do the same to one record as the SDK does."""
        selected = {name: record[name] for name in self.selected_columns}
        return self._map.transform(selected) if self._map else selected
