"""Take long cells out of a long row before the CSV reader sees it, and put them back into the row that it gives.

The reader holds a cell as characters of four bytes, in memory that it doubles. Here a cell is kept in UTF-8, and a mark
stands in its place, a random text that no page holds. For cells longer than five characters, and the mark `M`:

    a,"say ""hi"" to all",b    the row, of which the text may come in several parts
    a,"M",b                    what the reader gets; `say "hi" to all` is kept
    ["a", LongCell, "b"]       the row that it gives, put back together
"""

from __future__ import annotations

import codecs
import re
import secrets
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import msgspec

from tap_cdp_export.files import strict_json
from tap_cdp_export.records.batch import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONG_BYTES: Final = 1024
_ENCODED_BYTES: Final = 256 * 1024
_ELEMENTS_AT_ONCE: Final = 1_000
_QUOTED: Final = re.compile(r'[^"]*+(?:""[^"]*+)*+')
_ROW_END: Final = re.compile(r"\r*+(?:\n|[^\r\n])")  # what is no end is for the reader to refuse
_NUL: Final = "\0"
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_objects: Final = msgspec.json.Decoder(strict_json.ObjectOnly)


class LongCell:
    """The text of a long cell, without NULs."""

    def __init__(self, text: bytearray) -> None:
        """Take the text in UTF-8."""
        self._utf8 = text

    def __len__(self) -> int:
        """Return the number of bytes in UTF-8."""
        return len(self._utf8)

    def text(self) -> str:
        """Return the text, which may take four times its bytes; the cell is empty afterwards."""
        text = self._utf8.decode()
        self._utf8 = bytearray()
        return text

    def json_text(self) -> msgspec.Raw:
        """Encode the text as a JSON string; the cell is empty afterwards."""
        json = bytearray(b'"')
        starts = range(0, len(self._utf8), _ENCODED_BYTES)
        parts = (bytes(self._utf8[start : start + _ENCODED_BYTES]) for start in starts)
        for text in codecs.iterdecode(parts, "utf-8"):
            json += memoryview(encode(text))[1:-1]
        json += b'"'
        self._utf8 = bytearray()
        return msgspec.Raw(json)

    def json_array(self, separator: str | None) -> msgspec.Raw:
        """Encode the text as a JSON array.

        Args:
            separator: stands between the elements; without it the text is one element.
        """
        if not separator:
            return msgspec.Raw(b"[%b]" % self.json_text())
        json = bytearray(b"[")
        start = 0
        found = re.finditer(re.escape(separator.encode()), self._utf8)
        for match in islice(found, _ELEMENTS_AT_ONCE - 1, None, _ELEMENTS_AT_ONCE):
            json += memoryview(encode(self._utf8[start : match.start()].decode().split(separator)))[1:-1]
            json += b","
            start = match.end()
        json += memoryview(encode(self._utf8[start:].decode().split(separator)))[1:]
        return msgspec.Raw(json)

    def json_object(self) -> msgspec.Raw | None:
        """Return the text itself if it is a JSON object that may be passed on undecoded, else None."""
        if strict_json.has_nul(self._utf8) or not strict_json.is_safe_to_pass_through(self._utf8):
            return None
        try:
            _objects.decode(self._utf8)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        has_newlines = b"\n" in self._utf8 or b"\r" in self._utf8
        return msgspec.Raw(self._utf8.translate(None, b"\r\n") if has_newlines else self._utf8)


Cell: TypeAlias = str | LongCell


class LongCells:
    """Takes the long cells out of the rows of one page.

    Attributes:
        hidden_lines: how many newlines were in long cells so far.
    """

    def __init__(self, texts: Iterator[str], delimiter: str) -> None:
        """Read nothing yet.

        Args:
            texts: the parts of the page.
            delimiter: separates cells; one character.
        """
        self._delimiter = delimiter
        self._unquoted = re.compile(rf"[^{re.escape(delimiter)}\r\n]*+")
        self.hidden_lines = 0
        self._texts = texts
        self._mark = secrets.token_hex(16)
        self._kept: deque[bytearray] = deque()
        self._text = ""
        self._position = 0

    def take_out(self, text: str, *, is_quoted: bool) -> tuple[str, str]:
        """Read up to the end of a row.

        Args:
            text: what has been read of the page, but not by the CSV reader.
            is_quoted: whether it begins inside a quoted cell, and not with a row.

        Returns:
            The row or its rest with marks in it, as one line, and what is read of the page behind it.
        """
        self._text, self._position = text, 0
        line = [self._content(_QUOTED), self._taken('"')] if is_quoted else self._cell()
        while delimiter := self._taken(self._delimiter):
            line += delimiter, *self._cell()
        while not (end := _ROW_END.match(self._text, self._position)) and self._read_more():
            pass
        behind = end.end() if end else len(self._text)
        line.append(self._text[self._position : behind])
        return "".join(line), self._text[behind:]

    def put_back(self, row: list[str]) -> list[Cell]:
        """Put kept cells into a row.

        Args:
            row: as the CSV reader gave it.

        Returns:
            The row.
        """
        return [self._whole(cell) for cell in row] if self._kept else cast("list[Cell]", row)

    def _whole(self, cell: str) -> Cell:
        before, mark, _ = cell.partition(self._mark)
        if not mark:
            return cell
        text = self._kept.popleft()
        text[:0] = before.replace(_NUL, _REPLACEMENT).encode()
        return LongCell(text)

    def _cell(self) -> list[str]:
        quote = self._taken('"')
        return [quote, self._content(_QUOTED), self._taken('"')] if quote else [self._content(self._unquoted)]

    def _content(self, pattern: re.Pattern[str]) -> str:
        """Take what a cell holds; where it is long, keep it and give a mark."""
        content = bytearray()
        while match := pattern.match(self._text, self._position):
            part = match[0]
            content += (part.replace('""', '"') if pattern is _QUOTED else part).encode()
            self._position = match.end()
            rest = self._text[self._position : self._position + 2]
            if rest not in {"", '"'} or not self._read_more():  # such a quote may be the first of two
                break
        if len(content) <= _LONG_BYTES:
            text = content.decode()
            return text.replace('"', '""') if pattern is _QUOTED else text
        self.hidden_lines += content.count(b"\n")
        if b"\0" in content:
            content = content.replace(b"\0", _REPLACEMENT.encode())
        self._kept.append(content)
        return self._mark

    def _taken(self, character: str) -> str:
        """Take a character if it is the next one."""
        if self._position == len(self._text) and not self._read_more():
            return ""
        if self._text[self._position] != character:
            return ""
        self._position += 1
        return character

    def _read_more(self) -> bool:
        text = next(self._texts, "")
        self._text = self._text[self._position :] + text
        self._position = 0
        return bool(text)
