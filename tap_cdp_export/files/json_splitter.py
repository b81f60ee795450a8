"""Split one large JSON array or object into chunks of whole members, in constant memory.

A boundary between two members is guessed from the bytes, then the chunk before it is decoded strictly. JSON is
parsed from left to right without ambiguity, so a chunk that decodes consists of whole members: a wrong guess (inside a
string, or one level too deep) fails to decode. Where no guess decodes, members are read one at a time.
See docs/performance.md, section 5.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from tap_cdp_export.errors import IncompleteAnswer, UnusableAnswer
from tap_cdp_export.files import strict_json
from tap_cdp_export.files.json_container import STRING, NoMembers
from tap_cdp_export.files.json_scan import BracketScanner, decode_prefix, skip_separator, skip_space, value_end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_cdp_export.files.json_container import Container

T = TypeVar("T")

MEMBER_BYTES: Final = 40 * 2**20
"""Maximum size of a member: Meltano fails on a line over 50 MiB."""

DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, strict_json.InvalidJSON)
"""Errors of a decoder that cannot decode a chunk."""

_CHUNK_BYTES: Final = 128 * 1024
_SURROUNDINGS_BYTES: Final = 16 * 2**20
_NEAR_BYTES: Final = 2 * 1024
_MAX_GUESSES: Final = 8
_NULL: Final = "null"
_BLANKS: Final = b" \t\n\r"
_ONE_OBJECT: Final = {
    b"[": re.compile(rb"\[[ \t\n\r]*\{"),
    b"{": re.compile(rb"\{[ \t\n\r]*" + STRING + rb"[ \t\n\r]*:[ \t\n\r]*\{", re.DOTALL),
}


def read_chunks(
    chunks: Iterable[bytes],
    container: Container,
    decode: Callable[[bytes], T],
    accept: Callable[[Any], T],
    *,
    is_verified: bool = False,
) -> Iterator[T]:
    """Split a document into chunks of whole members.

    Args:
        chunks: the bytes of the document, cut anywhere.
        container: the array or object that holds the members.
        decode: decodes a chunk such as `[{...},{...}]` strictly; raises one of `DECODE_ERRORS` if it cannot.
        accept: converts a chunk that `decode` cannot decode, and that was decoded by `strict_json` instead.
        is_verified: whether `verify` has read the document, so that what `decode` skips need not be checked again.

    Yields:
        The result of `decode` or `accept` for each chunk, in order.

    Raises:
        IncompleteAnswer: If the document is truncated.
        NoMembers: If the top-level object lacks the container's key.
        UnusableAnswer: If the document is invalid, or followed by anything but whitespace.
    """
    return JsonSplitter(chunks, container, decode, accept, is_verified=is_verified).chunks()


class JsonSplitter(Generic[T]):
    """Splits one document.

    Attributes:
        chunk_span: start and end of the members of the last chunk, as byte offsets in the document.
    """

    def __init__(
        self,
        chunks: Iterable[bytes],
        container: Container,
        decode: Callable[[bytes], T],
        accept: Callable[[Any], T],
        *,
        is_verified: bool,
    ) -> None:
        """Initialize without reading; the arguments are those of `read_chunks`."""
        self._data = iter(chunks)
        self._opening, self._closing, self._boundary, self._key = container
        self._decode = decode
        self._accept = accept
        self._is_verified = is_verified
        self._buffer = b""
        self._position = 0
        self.chunk_span = (0, 0)
        self._has_members = False
        self._is_closed = False

    def _read_more(self) -> bool:
        data = next(self._data, b"")
        self._buffer += data
        return bool(data)

    def _consume(self, size: int) -> None:
        self._buffer = self._buffer[size:]
        self._position += size

    def chunks(self) -> Iterator[T]:
        """Split the document; yields and raises as `read_chunks` does."""
        try:
            self._enter()
            yield from self._container_chunks()
            while self._enter_repeated_key():
                yield from self._container_chunks()
            self._check_tail()
        except strict_json.InvalidJSON as error:
            raise UnusableAnswer(f"A JSON file {error}, near byte {max(self._position, self.chunk_span[0])}.") from None

    def _container_chunks(self) -> Iterator[T]:
        has_more = True
        while not self._is_closed:
            while has_more and len(self._buffer) < _CHUNK_BYTES:
                has_more = self._read_more()
            end_of_array = self._end_of_array()
            if has_more and end_of_array:
                has_more = self._read_more()
            size = len(self._buffer)
            yield from self._guessed_chunk(end_of_array=0 if has_more else end_of_array)
            if len(self._buffer) == size:
                yield from self._single_members()
            if len(self._buffer) == size:
                yield from self._long_member()

    def _long_member(self) -> Iterator[T]:
        """Read one member of any length: find its end by counting brackets, then decode it once.

        Data that arrives in two parts, with the depth behind each bracket; brackets in strings do not count:

            {"a":[{ | },"]}"]},{"b":1}]
            1    23   2     10

        The member ends at depth 0: `[{"a":[{},"]}"]}]` is decoded, and `{"b":1}]` stays in the buffer.
        """
        self._skip_blanks()
        if not self._has_members and self._buffer.startswith(self._closing):
            self._is_closed = True
            self._consume(1)
            return
        brackets = BracketScanner()
        parts = [self._opening]
        size = 0
        data = self._buffer
        while not (end := brackets.member_end(data)):
            parts.append(data)
            size += len(data)
            self._check_size(size)
            data = next(self._data, b"")
            if not data:
                raise self._truncated_error()
        size += end
        self._check_size(size)
        self.chunk_span = self._position, self._position + size
        chunk = b"".join([*parts, data[:end], self._closing])
        parts.clear()
        result = self._decode_long_member(chunk)
        del chunk
        self._buffer = data[end:]
        self._position += size
        self._skip_blanks()
        separator = self._buffer[:1]
        if separator not in {b",", self._closing}:
            raise strict_json.InvalidJSON("is not valid JSON")
        self._is_closed = separator == self._closing
        self._has_members = True
        self._consume(1)
        yield result

    def _skip_blanks(self) -> None:
        while not (content := self._buffer.lstrip(_BLANKS)):
            self._consume(len(self._buffer))
            if not self._read_more():
                raise self._truncated_error()
        self._consume(len(self._buffer) - len(content))

    def _truncated_error(self) -> IncompleteAnswer:
        return IncompleteAnswer(f"A JSON file ends too early, or is no JSON, near byte {self._position}.")

    def _check_size(self, size: int) -> None:
        if size > MEMBER_BYTES:
            raise UnusableAnswer(
                f"A member of a JSON file is no object, or larger than {MEMBER_BYTES // 2**20} MiB, "
                f"near byte {self._position}."
            )

    def _decode_long_member(self, chunk: bytes) -> T:
        if not _ONE_OBJECT[self._opening].match(chunk):
            raise strict_json.InvalidJSON("holds a member that is no object")
        if not strict_json.has_nul(chunk):
            with suppress(*DECODE_ERRORS):
                result = self._decode(chunk)
                if self._is_verified or strict_json.is_safe_to_pass_through(chunk):
                    return result
        return self._decode_exactly(chunk)

    def _decode_exactly(self, chunk: bytes) -> T:
        members = strict_json.decode(chunk)
        strict_json.check_nesting(chunk)
        return self._accept(members)

    def _end_of_array(self) -> int:
        """Return the end of the last member if the buffer ends like the array, with `}]`; else 0."""
        text = self._buffer.rstrip(_BLANKS)
        return len(text) - 1 if self._key is None and text.endswith(b"}" + self._closing) else 0

    def _guessed_chunk(self, *, end_of_array: int) -> Iterator[T]:
        """Decode the buffer up to a guessed boundary, the last one first; yield nothing if no guess decodes.

        For a buffer in which the bytes `},{` are twice part of a string:

            buffer   {"a":1},{"b":"},{"},{"c":"},{
            guess 1  [{"a":1},{"b":"},{"},{"c":"}]   no JSON: the last string does not end
            guess 2  [{"a":1},{"b":"},{"}]           two whole members; {"c":"},{ stays in the buffer
        """
        boundaries = [(end_of_array, len(self._buffer))] if end_of_array else self._boundaries()
        for end, next_start in boundaries:
            chunk = b"%b%b%b" % (self._opening, self._buffer[:end], self._closing)
            if strict_json.has_nul(chunk):
                return
            try:
                result = self._decode(chunk)
            except DECODE_ERRORS:
                continue
            if not self._is_verified and not strict_json.is_safe_to_pass_through(chunk):
                return
            self.chunk_span = self._position, self._position + end
            self._is_closed = next_start == len(self._buffer)  # behind a boundary there is always the next member
            self._consume(next_start)
            self._has_members = True
            yield result
            return

    def _boundaries(self) -> list[tuple[int, int]]:
        """Return the last possible boundaries, last one first: end of a member, start of the next."""
        for distance in (_NEAR_BYTES, 16 * _NEAR_BYTES, len(self._buffer)):
            start = max(0, len(self._buffer) - distance)
            matches = list(self._boundary.finditer(self._buffer, start))[-_MAX_GUESSES:]
            if matches:
                return [(match.start() + 1, match.end()) for match in reversed(matches)]
        return []

    def _single_members(self) -> Iterator[T]:
        """Decode one member at a time up to the end of the buffer or of the container."""
        text = decode_prefix(self._buffer)
        closing = self._closing.decode()
        start = skip_space(text, 0)
        if not self._has_members and text[start : start + 1] == closing:
            self._is_closed = True
            self._consume(len(text[: start + 1].encode()))
            return
        position = position_bytes = 0
        while not self._is_closed:
            value = start if closing == "]" else skip_separator(text, value_end(text, start, '"'), ":")
            end = value_end(text, value, "{")
            separator = skip_space(text, end) if end else 0
            if not end or text[separator : separator + 1] not in {",", closing}:
                break
            member = text[start:end]
            start_bytes = position_bytes + len(text[position:start].encode())
            end_bytes = start_bytes + len(member.encode())
            self.chunk_span = self._position + start_bytes, self._position + end_bytes
            yield self._decode_exactly(self._opening + member.encode() + self._closing)
            position = separator + 1
            position_bytes = end_bytes + position - end  # between members is only ASCII
            self._is_closed = text[separator] == closing
            start = skip_space(text, position)
        if position:
            self._has_members = True
            self._consume(position_bytes)

    def _enter(self) -> None:
        r"""Skip a byte order mark and everything before the first member.

        The mark may arrive in parts: `\xef\xbb`, then `\xbf[{"a":1}]`. Three bytes are read before it is looked for;
        `{"a":1}]` is left in the buffer.
        """
        while len(self._buffer) < len(strict_json.BOM) and self._read_more():
            pass
        if self._buffer.startswith(strict_json.BOM):
            self._consume(len(strict_json.BOM))
        self._is_closed = self._skip_to_first_member()

    def _enter_repeated_key(self) -> bool:
        """Skip to the first member under a repetition of the container's key; return False, unmoved, without one."""
        while self._key is not None and len(self._buffer) <= _SURROUNDINGS_BYTES and self._read_more():
            pass  # read at once: a search after each read would take quadratic time
        tail = self._buffer.lstrip(_BLANKS)
        if self._key is None or not tail.startswith(b","):
            return False
        self._consume(len(self._buffer) - len(tail))
        self._buffer = self._buffer.replace(b",", b"{", 1)  # `,"key":{...}}` becomes a document: `{"key":{...}}`
        try:
            self._is_closed = self._skip_to_first_member()
        except (NoMembers, IncompleteAnswer):
            self._buffer = self._buffer.replace(b"{", b",", 1)
            return False
        self._has_members = False
        return True

    def _skip_to_first_member(self) -> bool:
        """Skip what is before the first member; return True if null stands in place of the container."""
        prefix_size = _NEAR_BYTES
        while True:
            text = decode_prefix(self._buffer[:prefix_size])
            position = self._first_member(text)
            if position:
                self._consume(len(text[:position].encode()))
                return text.endswith(_NULL, 0, position)
            if prefix_size < len(self._buffer):
                prefix_size *= 2
                continue
            if len(self._buffer) > _SURROUNDINGS_BYTES:
                where = "behind its members" if self._is_closed else "at its beginning"
                raise UnusableAnswer(f"A JSON file has {_SURROUNDINGS_BYTES // 2**20} MiB of something else {where}.")
            if not self._read_more():
                raise IncompleteAnswer("A JSON file ends too early, or is no JSON at all.")

    def _first_member(self, text: str) -> int:
        """Return the index behind the container's opening bracket, or behind null; 0 if more text is needed."""
        start = skip_space(text, 0) if self._key is None else self._value_of_key(text)
        opening = self._opening.decode()
        if start == len(text):
            return 0
        if text[start] == opening:
            return start + 1
        if text[start] == _NULL[0]:
            return _end_of_null(text, start)
        if self._key is None:
            raise _unexpected_beginning(opening)
        raise UnusableAnswer(f"In a JSON file {self._key} is something else than documented.")

    def _value_of_key(self, text: str) -> int:
        """Return the index of the value under the container's key; the length of the text if more is needed."""
        position = skip_space(text, 0)
        if position == len(text):
            return position
        if text[position] != "{":
            raise _unexpected_beginning("{")
        position += 1
        while True:
            key = skip_space(text, position)
            if text[key : key + 1] == "}":
                raise NoMembers(f"A JSON file holds no {self._key}: the vendor reports a failure in its place.")
            key_end = value_end(text, key, '"')
            value = skip_separator(text, key_end, ":")
            if not value or value == len(text):
                return len(text)
            if json.loads(text[key:key_end]) == self._key:
                return value
            end = skip_space(text, value_end(text, value, text[value]) or len(text))
            if text[end : end + 1] not in {",", "}"}:
                return len(text)
            position = end + (text[end] == ",")

    def _check_tail(self) -> None:
        """Check that the document closes, and that only whitespace follows."""
        while self._read_more():
            if len(self._buffer) > _SURROUNDINGS_BYTES:
                raise UnusableAnswer("Too much follows the members of a JSON file.")
        tail = decode_prefix(self._buffer)
        if len(tail.encode()) < len(self._buffer):
            raise IncompleteAnswer("A JSON file ends inside a character.")
        if self._key is not None:
            document = '{"":{}' + tail
            end = strict_json.end_of_value(document, 0)
            if not end:
                raise IncompleteAnswer("A JSON file ends too early: its outer object does not close.")
            tail = document[end:]
        if tail.strip():
            raise UnusableAnswer("Something follows the end of a JSON file.")


def _end_of_null(text: str, start: int) -> int:
    """Return the index behind a null, which some writers send for what is empty; 0 if it is cut off."""
    if not _NULL.startswith(text[start : start + len(_NULL)]):
        raise strict_json.InvalidJSON("is not valid JSON")
    return start + len(_NULL) if text.startswith(_NULL, start) else 0


def _unexpected_beginning(expected: str) -> UnusableAnswer:
    return UnusableAnswer(f"A JSON file was expected to begin with {expected}; this is something else.")
