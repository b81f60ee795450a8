"""Encode batches as a stream does, by columns and as whole records, which must give the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tap_cdp_export.records.batch import EncodedRecords, RecordBatch, encode_columns, encode_records, whole_records
from tap_cdp_export.singer.column_maps import column_map
from tests.helpers.stream_maps import STREAM, stream_map

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def lines_of(encoded: EncodedRecords) -> list[bytes]:
    """Split encoded records into lines."""
    lines = bytes(encoded.data).split(b"\n")[:-1]
    assert len(lines) == encoded.number
    return lines


class Output:
    """Encodes the selected columns of records, through a stream map if there is one.

    Attributes:
        selected_columns: names of the columns.
    """

    def __init__(
        self, names: Iterable[str], *, schema: dict[str, Any] | None = None, definition: dict[str, Any] | None = None
    ) -> None:
        """Create an output.

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

    def lines(self, batch: RecordBatch, parse: Callable[[bytes], Any] = json.loads) -> list[bytes]:
        """Encode a batch by columns and as whole records.

        Args:
            batch: the records.
            parse: parses a line for the comparison.

        Returns:
            A line for each record, as made of columns.
        """
        if not batch.number:
            return []
        columns = {name: [*values] for name, values in batch.columns.items() if name in self.selected_columns}
        assert {*map(len, columns.values())} == {batch.number}
        output_columns, left_out = self._column_map.apply(columns) if self._column_map else (columns, 0)
        lines = lines_of(encode_columns(output_columns))
        records = [self.of_record(record) for record in whole_records(batch._replace(columns=columns))]
        kept = [record for record in records if record is not None]
        assert len(records) - len(kept) == left_out
        assert [*map(parse, lines_of(encode_records(kept)))] == [*map(parse, lines)]
        return lines

    def rows(self, batches: Iterable[RecordBatch]) -> list[dict[str, Any]]:
        """Encode batches as `lines` does, and parse the records."""
        return [json.loads(line) for batch in batches for line in self.lines(batch)]

    def of_record(self, record: dict[str, Any]) -> dict[str, Any] | None:
        """Select and map a single record with the SDK, for comparison."""
        fields = {name: record[name] for name in self.selected_columns if name in record}
        return self._map.transform(fields) if self._map else fields
