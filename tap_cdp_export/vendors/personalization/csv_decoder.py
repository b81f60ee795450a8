"""Decode pages in CSV into batches of records.

Columns are converted as a whole. Rows among which a cell has an unexpected form go through `RecordMapper` one by one,
which gives the same records.
"""

from __future__ import annotations

import math
from itertools import repeat
from types import NoneType
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from tap_cdp_export.records.batch import NEEDS_JSON_ESCAPE, RecordBatch, batch_of, struct
from tap_cdp_export.records.mapper import UNCONVERTIBLE, epoch_column, kind_of
from tap_cdp_export.vendors.personalization.csv_pages import read_object
from tap_cdp_export.vendors.personalization.long_cells import LongCell

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from tap_cdp_export.files.spool import Spool
    from tap_cdp_export.records.mapper import RecordMapper
    from tap_cdp_export.vendors.personalization.csv_pages import CsvPages
    from tap_cdp_export.vendors.personalization.long_cells import Cell

    Cells = tuple[str, ...]

_WHOLE: Final = b"0123456789-+,"
_DECIMAL: Final = _WHOLE + b".eE"
_LARGEST_INTEGER: Final = 2**63 - 1


class _UnexpectedForm(Exception):
    """A cell that cannot be converted together with its column."""


class CsvPageDecoder:
    """Decodes the pages of one stream, for one set of values of the tap's own columns."""

    at_once_bytes: ClassVar[int] = 512 * 1024  # its records are three times as long
    empty_page: ClassVar[bytes] = b""

    def __init__(
        self, pages: CsvPages, mapper: RecordMapper, tap_columns: Mapping[str, str | None], selected: Collection[str]
    ) -> None:
        """Initialize.

        Args:
            pages: reads the rows of pages.
            mapper: makes records of single rows.
            tap_columns: values of the tap's own columns.
            selected: names of the columns to decode; `name` is decoded in any case.
        """
        self._pages = pages
        self.pieces = pages.pieces
        self._mapper = mapper
        self._tap_columns = tap_columns
        self._columns = {mapper.to_vendor_name(name): name for name in mapper.columns}
        selected = {*selected, "name"}
        self._selected = [name for name in (*tap_columns, *mapper.columns, "extra") if name in selected]
        self._readers: dict[str, Callable[[Cells], Iterable[Any]]] = {
            "string": _texts,
            "integer": _integers,
            "number": _numbers,
            "date-time": lambda cells: _converted(epoch_column(_integers(cells))),
            "array": lambda cells: [pages.split(cell) if cell else None for cell in cells],
            "object": _objects,
        }

    def decode(self, page: Spool) -> Iterator[RecordBatch]:
        """Decode a page.

        Args:
            page: as the vendor sent it.

        Yields:
            The records, some hundreds at a time.

        Raises:
            UnusableAnswer: If the page is no CSV, or a row has no identifier.
        """
        for header, rows in self._pages.tables(page):
            try:
                yield RecordBatch(self._column_by_column(header, _short(rows)), len(rows))
            except _UnexpectedForm:
                yield self._row_by_row(header, rows)

    def is_empty(self, page: Spool) -> bool:
        """Return whether a page holds no rows.

        Args:
            page: as the vendor sent it.

        Raises:
            UnusableAnswer: If the page is no CSV, or its first rows are not as long as the header.
        """
        return next(self._pages.tables(page), None) is None

    def _column_by_column(self, header: list[str], rows: list[list[str]]) -> dict[str, Iterable[Any]]:
        columns = dict(zip(header, zip(*rows, strict=True), strict=True))
        if any(NEEDS_JSON_ESCAPE.search(name) for name in header) or any("\0" in cell for row in rows for cell in row):
            raise _UnexpectedForm
        read: dict[str, Iterable[Any]] = {name: repeat(value, len(rows)) for name, value in self._tap_columns.items()}
        for spelled, name in self._columns.items():
            kind = kind_of(self._mapper.columns[name])
            if spelled not in columns:
                read[name] = repeat(None, len(rows))
            elif kind in self._readers:
                read[name] = self._readers[kind](columns[spelled])
            else:
                raise _UnexpectedForm
        others = [name for name in header if name not in self._columns and name not in self._mapper.ignored]
        read["extra"] = _extra(others, columns) if others else repeat(None, len(rows))
        return {name: read[name] for name in self._selected}

    def _row_by_row(self, header: list[str], rows: list[list[Cell]]) -> RecordBatch:
        records = []
        rows.reverse()
        while rows:  # a row may be long, so it is let go
            record = self._mapper.record(self._pages.object(header, rows.pop()), self._tap_columns)
            records.append({name: record[name] for name in self._selected})
        return batch_of(records)


def _short(rows: list[list[Cell]]) -> list[list[str]]:
    """Return rows without long cells, which could only be in the last row."""
    if any(isinstance(cell, LongCell) for cell in rows[-1]):
        raise _UnexpectedForm
    return cast("list[list[str]]", rows)


def _texts(cells: Cells) -> Iterable[str | None]:
    return [cell or None for cell in cells]


def _integers(cells: Cells) -> list[int | None]:
    if ",".join(cells).encode().translate(None, _WHOLE):
        raise _UnexpectedForm
    try:
        numbers = [int(cell) if cell else None for cell in cells]
    except ValueError:
        raise _UnexpectedForm from None
    if any(number and abs(number) > _LARGEST_INTEGER for number in numbers):
        raise _UnexpectedForm
    return numbers


def _numbers(cells: Cells) -> list[float | None]:
    if ",".join(cells).encode().translate(None, _DECIMAL):
        raise _UnexpectedForm
    try:
        numbers = [float(cell) if cell else None for cell in cells]
    except ValueError:
        raise _UnexpectedForm from None
    if math.inf in numbers or -math.inf in numbers:
        raise _UnexpectedForm
    return numbers


def _objects(cells: Cells) -> list[dict[str, Any] | None]:
    objects = [read_object(cell) if cell else None for cell in cells]
    if not {*map(type, objects)} <= {dict, NoneType}:
        raise _UnexpectedForm
    return objects


def _converted(values: list[object]) -> list[object]:
    if UNCONVERTIBLE in values:
        raise _UnexpectedForm
    return values


def _extra(names: list[str], columns: Mapping[str, Cells]) -> Iterable[Any]:
    """Give the cells of columns that the stream does not have."""
    return map(struct(tuple(names)), *(_texts(columns[name]) for name in names))
