"""One huge JSON array or object, in runs of whole members, in flat memory.

A boundary between two members is guessed from the bytes, then the run before it is decoded strictly. JSON is
read from the left without ambiguity, so a run that decodes is a run of whole members: a wrong guess (inside a
string, one level too deep) can only fail to decode. What no guess can cut is read member by member.
"""

from __future__ import annotations

import codecs
import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

import msgspec

from tap_cdp_export.errors import IncompleteAnswer, UnusableAnswer
from tap_cdp_export.files import strict_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

MEMBER_BYTES: Final = 40 * 2**20
"""No member may be larger: Meltano ends a run on a line over 50 MiB."""

REFUSALS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, strict_json.InvalidJSON)
"""What a decoder of runs raises where something is not in order."""

_RUN_BYTES: Final = 128 * 1024
_SURROUNDINGS_BYTES: Final = 16 * 2**20
_NEAR_BYTES: Final = 2 * 1024
_GUESSES: Final = 8
_BOM: Final = b"\xef\xbb\xbf"
_BLANKS: Final = b" \t\n\r"
_TEXT: Final = rb'"(?:[^"\\]++|\\.)*+"'
_REST_OF_TEXT: Final = re.compile(rb'(?:[^"\\]++|\\.)*+("?)', re.DOTALL)
_TOKEN: Final = re.compile(rb'[\[{]|([\]}])|"(?:[^"\\]++|\\.)*+("?)', re.DOTALL)
_ONE_OBJECT: Final = {
    b"[": re.compile(rb"\[[ \t\n\r]*\{"),
    b"{": re.compile(rb"\{[ \t\n\r]*" + _TEXT + rb"[ \t\n\r]*:[ \t\n\r]*\{", re.DOTALL),
}
_SPACE: Final = re.compile(r"[ \t\n\r]*")


class Container(NamedTuple):
    """What is split.

    Attributes:
        opening: `[` or `{`.
        closing: `]` or `}`.
        boundary: matches from a member's last byte up to the next member's first, and no member itself.
        key: the top-level key the container stands under; None if it is the whole document.
    """

    opening: bytes
    closing: bytes
    boundary: re.Pattern[bytes]
    key: str | None = None


class NoMembers(UnusableAnswer):
    """A JSON object lacks the key under which the members stand: the vendor reports some trouble in its place."""


ARRAY_OF_OBJECTS: Final = Container(b"[", b"]", re.compile(rb"\}[ \t\n\r]*,[ \t\n\r]*(?=\{)"))


def object_under(key: str, first_inner_key: str) -> Container:
    """Describe an object of objects that stands under a top-level key.

    Args:
        key: the top-level key.
        first_inner_key: the key every member usually begins with; only speed depends on it.

    Returns:
        The container.
    """
    space = rb"[ \t\n\r]*"
    inner = json.dumps(first_inner_key).encode()
    boundary = rb"\}" + space + b"," + space + rb"(?=" + _TEXT + space + b":" + space + rb"\{" + space + inner + b")"
    return Container(b"{", b"}", re.compile(boundary), key)


def runs(
    chunks: Iterable[bytes],
    container: Container,
    decode: Callable[[bytes], T],
    accept: Callable[[Any], T],
    *,
    is_verified: bool = False,
) -> Iterator[T]:
    """Split a document.

    Args:
        chunks: the document's bytes.
        container: where its members are.
        decode: strictly decodes a run of members, wrapped as a small container of the same kind; raises
            `msgspec.DecodeError` or `UnicodeDecodeError` where it is none.
        accept: takes a run that had to be decoded here, since `decode` cannot.
        is_verified: whether `verify` has seen the document, so that what a decoder skips is known to be in order.

    Yields:
        What `decode` or `accept` made of each run, in order.

    Raises:
        IncompleteAnswer: If the document ends inside.
        UnusableAnswer: If it is something else, or anything but space follows it.
    """
    return JsonSplitter(chunks, container, decode, accept, is_verified=is_verified).runs()


class JsonSplitter(Generic[T]):
    """Splits one document.

    Attributes:
        run: where the last run's members begin and end, in bytes of the document.
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
        """Read nothing yet; arguments as of `runs`."""
        self._chunks = iter(chunks)
        self._opening, self._closing, self._boundary, self._key = container
        self._decode = decode
        self._accept = accept
        self._is_verified = is_verified
        self._buffer = b""
        self._position = 0
        self.run = (0, 0)
        self._inside = False
        self._closed = False

    def _more(self) -> bool:
        chunk = next(self._chunks, b"")
        self._buffer += chunk
        return bool(chunk)

    def _drop(self, size: int) -> None:
        self._buffer = self._buffer[size:]
        self._position += size

    def runs(self) -> Iterator[T]:
        """Split; yields and raises as the function `runs` does."""
        try:
            self._enter()
            yield from self._members()
            while self._enters_again():
                yield from self._members()
            self._leave()
        except strict_json.InvalidJSON as error:
            raise UnusableAnswer(f"A JSON file {error}, near byte {max(self._position, self.run[0])}.") from None

    def _members(self) -> Iterator[T]:
        more = True
        while not self._closed:
            while more and len(self._buffer) < _RUN_BYTES:
                more = self._more()
            end_of_array = self._end_of_array()
            if more and end_of_array:
                more = self._more()
            size = len(self._buffer)
            yield from self._guessed_run(end_of_array=0 if more else end_of_array)
            if len(self._buffer) == size:
                yield from self._single_members()
            if len(self._buffer) == size:
                yield from self._long_member()

    def _long_member(self) -> Iterator[T]:
        """Read on to the end of the next member, and decode it alone: each byte is looked at once."""
        self._skip_blanks()
        if not self._inside and self._buffer.startswith(self._closing):
            self._closed = True
            self._drop(1)
            return
        brackets = _Brackets()
        parts = [self._opening]
        size = 0
        chunk = self._buffer
        while not (end := brackets.end(chunk)):
            parts.append(chunk)
            size += len(chunk)
            self._check_size(size)
            chunk = next(self._chunks, b"")
            if not chunk:
                raise self._cut_off()
        size += end
        self._check_size(size)
        self.run = self._position, self._position + size
        run = b"".join([*parts, chunk[:end], self._closing])
        parts.clear()
        decoded = self._decoded_alone(run)
        del run
        self._buffer = chunk[end:]
        self._position += size
        self._skip_blanks()
        mark = self._buffer[:1]
        if mark not in {b",", self._closing}:
            raise strict_json.InvalidJSON("is not valid JSON")
        self._closed = mark == self._closing
        self._inside = True
        self._drop(1)
        yield decoded

    def _skip_blanks(self) -> None:
        while not (rest := self._buffer.lstrip(_BLANKS)):
            self._drop(len(self._buffer))
            if not self._more():
                raise self._cut_off()
        self._drop(len(self._buffer) - len(rest))

    def _cut_off(self) -> IncompleteAnswer:
        return IncompleteAnswer(f"A JSON file ends too early, or is no JSON, near byte {self._position}.")

    def _check_size(self, size: int) -> None:
        if size > MEMBER_BYTES:
            raise UnusableAnswer(
                f"A member of a JSON file is no object, or larger than {MEMBER_BYTES // 2**20} MiB, "
                f"near byte {self._position}."
            )

    def _decoded_alone(self, run: bytes) -> T:
        if not _ONE_OBJECT[self._opening].match(run):
            raise strict_json.InvalidJSON("holds a member that is no object")
        if not strict_json.has_nul(run):
            with suppress(*REFUSALS):
                decoded = self._decode(run)
                if self._is_verified or strict_json.is_safe_to_pass_through(run):
                    return decoded
        return self._accept(strict_json.check_depth(strict_json.decode(run)))

    def _end_of_array(self) -> int:
        """Find where the last member ends if the array seems to end with the buffer; 0 if not."""
        text = self._buffer.rstrip(_BLANKS)
        return len(text) - 1 if self._key is None and text.endswith(b"}" + self._closing) else 0

    def _guessed_run(self, *, end_of_array: int) -> Iterator[T]:
        guesses = [(end_of_array, len(self._buffer))] if end_of_array else self._guesses()
        for end, next_start in guesses:
            run = b"%b%b%b" % (self._opening, self._buffer[:end], self._closing)
            if strict_json.has_nul(run):
                return
            try:
                decoded = self._decode(run)
            except REFUSALS:
                continue
            if not self._is_verified and not strict_json.is_safe_to_pass_through(run):
                return
            self.run = self._position, self._position + end
            self._closed = next_start == len(self._buffer)  # a boundary has the next member behind it
            self._drop(next_start)
            self._inside = True
            yield decoded
            return

    def _guesses(self) -> list[tuple[int, int]]:
        """Find the last boundaries, where a member ends and the next one begins; the very last one first."""
        for distance in (_NEAR_BYTES, 16 * _NEAR_BYTES, len(self._buffer)):
            start = max(0, len(self._buffer) - distance)
            found = list(self._boundary.finditer(self._buffer, start))[-_GUESSES:]
            if found:
                return [(match.start() + 1, match.end()) for match in reversed(found)]
        return []

    def _single_members(self) -> Iterator[T]:
        """Decode member by member as far as the buffer goes; find the container's end."""
        text = _decoded(self._buffer)
        closing = self._closing.decode()
        start = _skip_space(text, 0)
        if not self._inside and text[start : start + 1] == closing:
            self._closed = True
            self._drop(len(text[: start + 1].encode()))
            return
        done = done_bytes = 0
        while not self._closed:
            value = start if closing == "]" else _after(text, _value_end(text, start, '"'), ":")
            end = _value_end(text, value, "{")
            after = _skip_space(text, end) if end else 0
            if not end or text[after : after + 1] not in {",", closing}:
                break
            member = text[start:end]
            start_bytes = done_bytes + len(text[done:start].encode())
            end_bytes = start_bytes + len(member.encode())
            self.run = self._position + start_bytes, self._position + end_bytes
            yield self._decode_single(member)
            done = after + 1
            done_bytes = end_bytes + done - end  # between members, a character is a byte
            self._closed = text[after] == closing
            start = _skip_space(text, done)
        if done:
            self._inside = True
            self._drop(done_bytes)

    def _decode_single(self, member: str) -> T:
        return self._accept(
            strict_json.check_depth(strict_json.decode(self._opening + member.encode() + self._closing))
        )

    def _enter(self) -> None:
        """Move past everything before the first member."""
        while len(self._buffer) < len(_BOM) and self._more():
            pass
        if self._buffer.startswith(_BOM):
            self._drop(len(_BOM))
        self._seek()

    def _enters_again(self) -> bool:
        """Move on to where the members' key comes once more; tell whether it does, else stay."""
        while self._key is not None and len(self._buffer) <= _SURROUNDINGS_BYTES and self._more():
            pass  # at once: to look at what is there after each chunk would take the square of the time
        rest = self._buffer.lstrip(_BLANKS)
        if self._key is None or not rest.startswith(b","):
            return False
        self._drop(len(self._buffer) - len(rest))
        self._buffer = self._buffer.replace(b",", b"{", 1)  # what follows reads like an object of its own
        try:
            self._seek()
        except (NoMembers, IncompleteAnswer):
            self._buffer = self._buffer.replace(b"{", b",", 1)
            return False
        self._inside = self._closed = False
        return True

    def _seek(self) -> None:
        """Move to the first member."""
        seen = _NEAR_BYTES
        while True:
            text = _decoded(self._buffer[:seen])
            position = self._first_member(text)
            if position:
                self._drop(len(text[:position].encode()))
                return
            if seen < len(self._buffer):
                seen *= 2
                continue
            if len(self._buffer) > _SURROUNDINGS_BYTES:
                where = "behind its members" if self._closed else "at its beginning"
                raise UnusableAnswer(f"A JSON file has {_SURROUNDINGS_BYTES // 2**20} MiB of something else {where}.")
            if not self._more():
                raise IncompleteAnswer("A JSON file ends too early, or is no JSON at all.")

    def _first_member(self, text: str) -> int:
        """Find where the members begin; 0 if more text is needed."""
        outer = self._opening.decode() if self._key is None else "{"
        position = _skip_space(text, 0)
        if position == len(text):
            return 0
        if text[position] != outer:
            raise UnusableAnswer(f"A JSON file was expected to begin with {outer}; this is something else.")
        position += 1
        while self._key is not None:
            key = _skip_space(text, position)
            if text[key : key + 1] == "}":
                raise NoMembers(f"A JSON file holds no {self._key}: the vendor reports some trouble in its place.")
            key_end = _value_end(text, key, '"')
            value = _after(text, key_end, ":")
            if not value or value == len(text):
                return 0
            if json.loads(text[key:key_end]) == self._key:
                if text[value] != self._opening.decode():
                    raise UnusableAnswer(f"In a JSON file {self._key} is something else than documented.")
                return value + 1
            end = _skip_space(text, _value_end(text, value, text[value]) or len(text))
            if text[end : end + 1] not in {",", "}"}:
                return 0
            position = end + (text[end] == ",")
        return position

    def _leave(self) -> None:
        """Make sure that the document closes, with nothing behind it."""
        while self._more():
            if len(self._buffer) > _SURROUNDINGS_BYTES:
                raise UnusableAnswer("Too much follows the members of a JSON file.")
        rest = _decoded(self._buffer)
        if len(rest.encode()) < len(self._buffer):
            raise IncompleteAnswer("A JSON file ends inside a character.")
        if self._key is not None:
            outer = '{"":{}' + rest
            end = strict_json.end_of_value(outer, 0)
            if not end:
                raise IncompleteAnswer("A JSON file ends too early: its outer object does not close.")
            rest = outer[end:]
        if rest.strip():
            raise UnusableAnswer("Something follows the end of a JSON file.")


class _Brackets:
    """Finds where a member ends, in bytes that come in chunks."""

    def __init__(self) -> None:
        self._depth = 0
        self._is_in_text = False
        self._escape = b""

    def end(self, chunk: bytes) -> int:
        """Look at the next chunk.

        Args:
            chunk: what follows the chunks before.

        Returns:
            Index behind the bracket that closes the member; 0 if that is not in this chunk.
        """
        before = len(self._escape)
        data = self._escape + chunk
        start = 0
        if self._is_in_text:
            start = self._text_end(data, _REST_OF_TEXT.match(data))
        for token in () if self._is_in_text else _TOKEN.finditer(data, start):
            mark = token[0]
            if mark.startswith(b'"'):
                self._text_end(data, token)
            elif token[1]:
                self._depth -= 1
                if self._depth <= 0:
                    return token.end() - before
            else:
                self._depth += 1
        return 0

    def _text_end(self, data: bytes, text: re.Match[bytes] | None) -> int:
        """Note whether a text goes on in the next chunk, and whether half an escape is left for it."""
        end = text.end() if text else 0
        self._is_in_text = not (text and text[text.re.groups])
        self._escape = data[end:] if self._is_in_text else b""
        return end


def _decoded(data: bytes) -> str:
    """Decode UTF-8 that may end inside a character."""
    try:
        return codecs.utf_8_decode(data, "strict", False)[0]  # noqa: FBT003 -- the codec's own signature
    except UnicodeDecodeError:
        raise strict_json.InvalidJSON("is not valid UTF-8") from None


def _skip_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _value_end(text: str, start: int, first: str) -> int:
    """Find where a JSON value ends; 0 if it is cut off, or does not begin as it should."""
    if text[start : start + 1] != first:
        return 0
    return strict_json.end_of_value(text, start)


def _after(text: str, position: int, mark: str) -> int:
    """Find what follows a mark and space; 0 if the mark is not there."""
    position = _skip_space(text, position) if position else len(text)
    return _skip_space(text, position + 1) if text[position : position + 1] == mark else 0
