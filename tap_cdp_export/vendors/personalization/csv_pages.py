"""Pages in CSV, whose dialect no page of the vendor describes: read by header, nothing fixed (section 5).

The fields come out under the names that JSON has, so that a record is the same from both. Custom attributes
are columns like any other here, so they end in `extra`, as text.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.errors import IncompleteAnswer, UnusableAnswer
from tap_cdp_export.files import strict_json
from tap_cdp_export.files.compression import open_decompressed
from tap_cdp_export.files.json_splitter import MEMBER_BYTES
from tap_cdp_export.records.mapper import camel_case, kind_of
from tap_cdp_export.signals import STOP
from tap_cdp_export.vendors.personalization.long_cells import LongCell, LongCells

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tap_cdp_export.files.spool import Spool
    from tap_cdp_export.vendors.personalization.long_cells import Cell

_ROWS: Final = 500
_MOST_BLANK: Final = 4 * 2**20
"""Bytes of blank lines: so many are passed over, and more where most of a page is something else."""

_TABLE_CHARACTERS: Final = 2**20
_WHOLE: Final = re.compile(r" *[-+]?[0-9]+ *")  # Python itself also reads 1_000 and the digits of other scripts
_NUMBER: Final = re.compile(r" *[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)? *")
_NOT_SPELLED: Final = re.compile(r"[\W_]")
KEY_ALIASES: Final = {
    "users": ("name", "userId", "id"),
    "accounts": ("name", "accountName", "accountId", "accountID", "id", "ID"),
}
"""Names of the identifier: the first that is there counts."""

_OTHER_DELIMITERS: Final = {";": "semicolon", "\t": "tab", "|": "vertical bar", ",": "comma"}


class CsvPages:
    """Reads the pages of one kind; columns may differ from page to page."""

    def __init__(
        self, kind: str, schema: Mapping[str, Any], list_separator: str | None, *, delimiter: str = ","
    ) -> None:
        """Compile how cells are read.

        Args:
            kind: `users` or `accounts`.
            schema: JSON schema of all that they may hold.
            list_separator: splits a cell that holds a list; without it the cell is one element.
            delimiter: separates cells; one character.
        """
        self._aliases = KEY_ALIASES[kind]
        self._delimiter = delimiter
        self._list_separator = list_separator
        readers: dict[str, Callable[[str], Any]] = {
            "integer": _integer,
            "date-time": _integer,
            "number": _number,
            "object": read_object,
            "array": self.split,
        }
        properties = schema["properties"]
        self._kinds = {camel_case(name): kind_of(inner) for name, inner in properties.items()}
        self._readers = {name: readers.get(kind, str) for name, kind in self._kinds.items()}

    def tables(self, spool: Spool) -> Iterator[tuple[list[str], list[list[Cell]]]]:
        """Read one page, some rows at a time.

        Args:
            spool: the page; empty or only a header where there are no more records.

        Yields:
            The names of the columns, and rows of as many cells.

        Raises:
            UnusableAnswer: If a row is not as long as the header or has no identifier, or the text is no UTF-8 or
                no CSV.
        """
        for header, table, _ in self._tables(spool):
            if table:
                yield header, table

    def pieces(self, spool: Spool) -> Iterator[bytes]:
        """Prove a page, and cut it into pages of some rows each.

        Args:
            spool: the page.

        Yields:
            CSV with the page's own header.

        Raises:
            UnusableAnswer: As `tables` does, but before the first piece.
        """
        ends: list[int] = []
        for end in (end for _, _, end in self._tables(spool)):  # the last table is not kept
            ends.append(end)
            STOP.raise_if_stopped()
        lines = _byte_lines(open_decompressed(spool))
        header = b"".join(islice(lines, ends[0]))
        for start, end in pairwise(ends):
            piece = io.BytesIO()
            piece.write(header)
            piece.writelines(islice(lines, end - start))
            yield piece.getvalue()

    def _tables(self, spool: Spool) -> Iterator[tuple[list[str], list[list[Cell]], int]]:
        """Read the header, then some rows at a time; yield also how many lines of text were read so far."""
        csv.field_size_limit(2 * MEMBER_BYTES)  # the lines are stricter
        rows = _Rows(open_decompressed(spool), self._delimiter)
        number = 1
        try:
            header = self._names(rows.header())
            yield header, [], rows.line_number
            while table := rows.table():
                _check(table, header, number)
                yield header, table, rows.line_number
                number += len(table)
        except UnicodeDecodeError:
            raise UnusableAnswer("A CSV page is not valid UTF-8.") from None
        except csv.Error:
            raise IncompleteAnswer("A CSV page ends inside a quoted cell, or is no CSV.") from None

    def object(self, header: list[str], row: list[Cell]) -> dict[str, Any]:
        """Make the object of one row.

        Args:
            header: names of the columns.
            row: as many cells.

        Returns:
            What JSON would have; an empty cell is null.
        """
        return {name: self._value(name, cell) for name, cell in zip(header, row, strict=True)}

    def split(self, cell: str) -> list[str]:
        """Split a cell that holds a list.

        Args:
            cell: not empty.

        Returns:
            Its elements; one where no separator is set.
        """
        return cell.split(self._list_separator) if self._list_separator else [cell]

    def _names(self, header: list[str]) -> list[str]:
        """Give every column a name of its own, and the key the one that JSON has."""
        header = [strict_json.replace_unstorable(column) for column in header]
        if header[:1] and header[0].lstrip().startswith("<"):
            raise UnusableAnswer("A CSV page is a page of markup instead.")
        if not any(alias in header for alias in self._aliases):
            header = self._respelled(header)
        key = next((alias for alias in self._aliases if alias in header), None)
        names: list[str] = []
        for column in header:
            name = "name" if column == key else column
            copies = (name, *(f"{name} ({number})" for number in range(2, len(header) + 1)))
            names.append(next(copy for copy in copies if copy not in names))
        if header and "name" not in names:
            raise UnusableAnswer(
                f"The header of a CSV page has no column for the identifier ({', '.join(self._aliases)})."
                f"{self._delimiter_advice(header)}"
            )
        return names

    def _respelled(self, header: list[str]) -> list[str]:
        """Give columns the names that JSON has, where a header spells even the identifier in another way.

        `["User ID", "last_activity", "Colour"]` becomes `["userId", "lastActivity", "Colour"]`.
        """
        known = {_spelling(name): name for name in (*self._readers, *reversed(self._aliases))}
        return [known.get(_spelling(column), column) for column in header]

    def _delimiter_advice(self, header: list[str]) -> str:
        cells = {character: self._delimiter.join(header).count(character) for character in _OTHER_DELIMITERS}
        likely = max(cells, key=lambda character: cells[character])
        if not cells[likely] or likely == self._delimiter:
            return ""
        return (
            f" Its cells seem to be separated by a {_OTHER_DELIMITERS[likely]}: "
            "set personalization.csv_delimiter to that character."
        )

    def _value(self, name: str, cell: Cell) -> Any:  # noqa: ANN401 -- as JSON would have it
        if isinstance(cell, LongCell):
            return self._long_value(name, cell)
        return self._readers.get(name, str)(strict_json.replace_unstorable(cell)) if cell else None

    def _long_value(self, name: str, cell: LongCell) -> Any:  # noqa: ANN401 -- as JSON would have it
        """Encode what a cell holds without decoding it, where that can be."""
        value: Any = None
        kind = "name" if name == "name" else self._kinds.get(name, "string")
        if kind == "string":
            value = cell.json_text()
        elif kind == "array":
            value = cell.json_array(self._list_separator)
        elif kind == "object":
            value = cell.json_object()
        return self._value(name, cell.text()) if value is None else value


def _spelling(name: str) -> str:
    """Reduce a name to its letters and digits, all of them small."""
    return _NOT_SPELLED.sub("", name).casefold()


class _Rows:
    """The rows of a page. Text is cut behind each newline; the CSV reader puts a cell of many lines together again."""

    def __init__(self, chunks: Iterable[bytes], delimiter: str) -> None:
        self._size = 0
        self._texts = self._checked(codecs.iterdecode(chunks, "utf-8-sig"))
        self._long_cells = LongCells(self._texts, delimiter)
        self._rows = csv.reader(self._lines(), strict=True, delimiter=delimiter)
        self._lines_of_rows = 0

    @property
    def line_number(self) -> int:
        """How many lines of text the rows so far take."""
        return self._rows.line_num + self._long_cells.hidden_lines

    def header(self) -> list[str]:
        """Read the first row that is not blank; empty if there is none."""
        for row in self._rows:
            self._lines_of_rows = self._rows.line_num
            cells = [cell if isinstance(cell, str) else cell.text() for cell in self._long_cells.put_back(row)]
            if any(map(str.strip, cells)):
                return cells
        return []

    def table(self) -> list[list[Cell]]:
        """Read some rows: fewer where they are long, and none behind one with a long cell."""
        table: list[list[Cell]] = []
        for row in self._rows:
            self._lines_of_rows = self._rows.line_num
            if row:
                table.append(self._long_cells.put_back(row))
                if len(table) == _ROWS or self._size > _TABLE_CHARACTERS:
                    break
        if self._size > MEMBER_BYTES // 4 and any(_size(row) > MEMBER_BYTES for row in table):
            raise _too_long()
        self._size = 0
        return table

    def _lines(self) -> Iterator[str]:
        pending: list[str] = []
        for part in self._texts:
            text = part
            if self._size > _TABLE_CHARACTERS + len(text):  # a single row is as long
                is_quoted = self._rows.line_num > self._lines_of_rows
                line, text = self._long_cells.take_out("".join([*pending, text]), is_quoted=is_quoted)
                pending = []
                yield line
            first, newline, others = text.partition("\n")
            pending.append(first + newline)
            if newline:
                line, pending = "".join(pending), []
                yield line
                whole, newline, rest = others.rpartition("\n")
                yield from io.StringIO(whole + newline, newline="\n")
                pending.append(rest)
        if last := "".join(pending):
            yield last

    def _checked(self, texts: Iterable[str]) -> Iterator[str]:
        size = blank = 0
        for text in texts:
            STOP.raise_if_stopped()
            size += len(text)
            blank += 2 * text.count("\n\n") + 4 * text.count("\n\r\n")
            if blank > _MOST_BLANK and 2 * blank > size:
                raise UnusableAnswer("A CSV page consists of blank lines for the most part; it is not read.")
            self._size += len(text)
            if self._size > MEMBER_BYTES + _TABLE_CHARACTERS + len(text):
                raise _too_long()
            yield text


def _byte_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut bytes behind each newline; a line is not kept once it is given."""
    pending = bytearray()
    for chunk in chunks:
        first, newline, others = chunk.partition(b"\n")
        pending += first + newline
        if newline:
            yield _emptied(pending)
            whole, newline, rest = others.rpartition(b"\n")
            yield from io.BytesIO(whole + newline)
            pending += rest
    if pending:
        yield _emptied(pending)


def _emptied(pending: bytearray) -> bytes:
    line = bytes(pending)
    pending.clear()
    return line


def _check(table: list[list[Cell]], header: list[str], number: int) -> None:
    key = header.index("name") if header else 0
    for place, row in enumerate(table, start=number):
        if len(row) != len(header):
            raise UnusableAnswer(f"Row {place} of a CSV page has {len(row)} cells, its header {len(header)}.")
        if not row[key]:
            raise UnusableAnswer(f"Row {place} of a CSV page has no identifier.")


def _size(row: list[Cell]) -> int:
    return sum(len(cell if isinstance(cell, LongCell) else cell.encode()) for cell in row)


def _too_long() -> UnusableAnswer:
    return UnusableAnswer(f"A row of a CSV page is longer than {MEMBER_BYTES // 2**20} MiB.")


def _integer(cell: str) -> Any:  # noqa: ANN401 -- text stays text where it is no number
    try:
        return int(cell) if _WHOLE.fullmatch(cell) else _number(cell)
    except ValueError:  # more digits than Python reads
        return cell


def _number(cell: str) -> Any:  # noqa: ANN401 -- text stays text where it is no number
    number = float(cell) if _NUMBER.fullmatch(cell) else math.nan
    return number if math.isfinite(number) else cell


def read_object(cell: str) -> Any:  # noqa: ANN401 -- any JSON
    """Read a cell that should hold an object.

    Args:
        cell: not empty.

    Returns:
        The JSON value in it; the text itself where it is no JSON.
    """
    try:
        return strict_json.check_depth(strict_json.decode(cell.encode()))
    except strict_json.InvalidJSON:
        return cell
