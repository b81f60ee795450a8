"""The fast way out of a CSV page: columns are read as a whole, and encoded without a dict in between.

It gives what `csv_pages` and `RecordMapper` give; rows among which anything odd is found are left to them.
"""

from __future__ import annotations

import math
from itertools import repeat
from typing import TYPE_CHECKING, Any, ClassVar, Final

from tap_cdp_export.records.batch import NEEDS_JSON_ESCAPE, struct
from tap_cdp_export.records.mapper import UNCONVERTIBLE, epoch_column, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tap_cdp_export.files.spool import Spool
    from tap_cdp_export.records.batch import EncodedRecords, RecordEncoder
    from tap_cdp_export.records.mapper import RecordMapper
    from tap_cdp_export.vendors.personalization.csv_pages import CsvPages

    Cells = tuple[str, ...]

_WHOLE: Final = b"0123456789-+,"
_DECIMAL: Final = _WHOLE + b".eE"
_LARGEST_INTEGER: Final = 2**63 - 1


class _Odd(Exception):
    """Something only the tolerant way can judge."""


class CsvPageDecoder:
    """Encodes the pages of one stream, for one set of the tap's own values."""

    at_once_bytes: ClassVar[int] = 512 * 1024  # its records are three times as long

    def __init__(
        self, pages: CsvPages, mapper: RecordMapper, tap_columns: Mapping[str, str | None], output: RecordEncoder
    ) -> None:
        """Choose what is made of a page.

        Args:
            pages: reads pages.
            mapper: makes the same records one by one.
            tap_columns: values of the tap's own columns.
            output: takes the records.
        """
        self._pages = pages
        self.pieces = pages.pieces
        self._mapper = mapper
        self._tap_columns = tap_columns
        self._encode = output.encode_columns
        self._columns = {mapper.to_vendor_name(name): name for name in mapper.columns}
        self._selected = [name for name in (*tap_columns, *mapper.columns, "extra") if name in output.selected_columns]
        self._readers: dict[str, Callable[[Cells], Iterable[Any]]] = {
            "string": _texts,
            "integer": _integers,
            "number": _numbers,
            "date-time": lambda cells: _converted(epoch_column(_integers(cells))),
            "array": lambda cells: [pages.split(cell) if cell else None for cell in cells],
        }

    def lines(self, page: Spool) -> Iterator[EncodedRecords]:
        """Encode a page.

        Args:
            page: as the vendor sent it.

        Yields:
            The records, some hundreds at a time.

        Raises:
            UnusableAnswer: If the page is no CSV, or a row has no identifier.
        """
        for header, rows in self._pages.tables(page):
            try:
                columns = self._typed(header, rows)
            except _Odd:
                columns = self._tolerant(header, rows)
            key = header.index("name")
            yield self._encode(columns)._replace(keys=sum(hash(row[key]) for row in rows))

    def _typed(self, header: list[str], rows: list[list[str]]) -> dict[str, Iterable[Any]]:
        columns = dict(zip(header, zip(*rows, strict=True), strict=True))
        if any(NEEDS_JSON_ESCAPE.search(name) for name in header) or any("\0" in cell for row in rows for cell in row):
            raise _Odd
        read: dict[str, Iterable[Any]] = {name: repeat(value, len(rows)) for name, value in self._tap_columns.items()}
        for spelled, name in self._columns.items():
            kind = kind_of(self._mapper.columns[name])
            if spelled not in columns:
                read[name] = repeat(None, len(rows))
            elif kind in self._readers:
                read[name] = self._readers[kind](columns[spelled])
            else:
                raise _Odd
        others = [name for name in header if name not in self._columns]
        read["extra"] = _extra(others, columns) if others else repeat(None, len(rows))
        return {name: read[name] for name in self._selected}

    def _tolerant(self, header: list[str], rows: list[list[str]]) -> dict[str, Iterable[Any]]:
        records = [self._mapper.record(self._pages.object(header, row), self._tap_columns) for row in rows]
        return {name: [record[name] for record in records] for name in self._selected}


def _texts(cells: Cells) -> Iterable[str | None]:
    return [cell or None for cell in cells]


def _integers(cells: Cells) -> list[int | None]:
    if ",".join(cells).encode().translate(None, _WHOLE):
        raise _Odd
    try:
        numbers = [int(cell) if cell else None for cell in cells]
    except ValueError:
        raise _Odd from None
    if any(number and abs(number) > _LARGEST_INTEGER for number in numbers):
        raise _Odd
    return numbers


def _numbers(cells: Cells) -> list[float | None]:
    if ",".join(cells).encode().translate(None, _DECIMAL):
        raise _Odd
    try:
        numbers = [float(cell) if cell else None for cell in cells]
    except ValueError:
        raise _Odd from None
    if math.inf in numbers or -math.inf in numbers:
        raise _Odd
    return numbers


def _converted(values: list[object]) -> list[object]:
    if UNCONVERTIBLE in values:
        raise _Odd
    return values


def _extra(names: list[str], columns: Mapping[str, Cells]) -> Iterable[Any]:
    """Give the cells of columns that the stream does not have."""
    return map(struct(tuple(names)), *(_texts(columns[name]) for name in names))
