"""Encoder of record columns, in place of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_cdp_export.records.batch import EncodedRecords, encode_columns
from tap_cdp_export.singer.column_maps import column_map
from tests.helpers.stream_maps import STREAM, stream_map

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Columns:
    """Encodes records with some columns, as a stream with BATCH files does.

    Attributes:
        selected_columns: names of the columns.
    """

    def __init__(
        self, names: Iterable[str], *, schema: dict[str, Any] | None = None, definition: dict[str, Any] | None = None
    ) -> None:
        """Create an encoder.

        Args:
            names: names of the columns.
            schema: JSON schema of the stream; required with a stream map.
            definition: definition of a stream map, which must be applicable to columns.
        """
        self.selected_columns = list(names)
        properties = (schema or {}).get("properties", {})
        selected_properties = {name: properties[name] for name in self.selected_columns} if definition else {}
        self._map = stream_map(selected_properties, definition) if definition else None
        self._column_map = (
            column_map(self._map, {STREAM: definition}, STREAM, selected_properties) if self._map else None
        )
        assert bool(self._map) == bool(self._column_map)

    def encode_columns(self, columns: Mapping[str, Iterable[Any]]) -> EncodedRecords:
        output_columns, left_out = self._column_map.apply(columns) if self._column_map else (columns, 0)
        return encode_columns(output_columns)._replace(left_out=left_out)

    def of_record(self, record: dict[str, Any]) -> dict[str, Any] | None:
        """Select and map a single record with the SDK, for comparison."""
        fields = {name: record[name] for name in self.selected_columns}
        return self._map.transform(fields) if self._map else fields
