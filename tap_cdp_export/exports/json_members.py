"""One huge JSON array or object, in runs of whole members, in flat memory.

A boundary between two members is guessed from the bytes, then the run before it is decoded strictly. JSON is
read from the left without ambiguity, so a run that decodes is a run of whole members: a wrong guess (inside a
string, one level too deep) can only fail to decode. What no guess can cut is read member by member.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

import msgspec

from tap_cdp_export import json_text
from tap_cdp_export.errors import IncompleteAnswer, UnusableAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

MEMBER_BYTES: Final = 40 * 2**20
"""No member may be larger: Meltano ends a run on a line over 50 MiB."""

_RUN_BYTES: Final = 128 * 1024
_SURROUNDINGS_BYTES: Final = 16 * 2**20
_NEAR_BYTES: Final = 2 * 1024
_GUESSES: Final = 8
_BOM: Final = b"\xef\xbb\xbf"
_BLANKS: Final = b" \t\n\r"
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
    string = rb'"(?:[^"\\]|\\.)*"'
    inner = json.dumps(first_inner_key).encode()
    boundary = rb"\}" + space + b"," + space + rb"(?=" + string + space + b":" + space + rb"\{" + space + inner + b")"
    return Container(b"{", b"}", re.compile(boundary), key)


def runs(
    chunks: Iterable[bytes],
    container: Container,
    decode: Callable[[bytes], T],
    accept: Callable[[Any], T],
    *,
    is_proven: bool = False,
) -> Iterator[T]:
    """Split a document.

    Args:
        chunks: the document's bytes.
        container: where its members are.
        decode: strictly decodes a run of members, wrapped as a small container of the same kind; raises
            `msgspec.DecodeError` or `UnicodeDecodeError` where it is none.
        accept: takes a run that had to be decoded here, since `decode` cannot.
        is_proven: whether `prove` has seen the document, so that what a decoder skips is known to be in order.

    Yields:
        What `decode` or `accept` made of each run, in order.

    Raises:
        IncompleteAnswer: If the document ends inside.
        UnusableAnswer: If it is something else, or anything but space follows it.
    """
    return Splitter(chunks, container, decode, accept, is_proven=is_proven).runs()


class Splitter(Generic[T]):
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
        is_proven: bool,
    ) -> None:
        """Read nothing yet; arguments as of `runs`."""
        self._chunks = iter(chunks)
        self._opening, self._closing, self._boundary, self._key = container
        self._decode = decode
        self._accept = accept
        self._is_proven = is_proven
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
        except json_text.InvalidJSON as error:
            raise UnusableAnswer(f"A JSON file {error}, near byte {max(self._position, self.run[0])}.") from None

    def _members(self) -> Iterator[T]:
        threshold = _RUN_BYTES
        more = True
        while not self._closed:
            while more and len(self._buffer) < threshold:
                more = self._more()
            end_of_array = self._end_of_array()
            if more and end_of_array:
                more = self._more()
            size = len(self._buffer)
            yield from self._guessed_run(end_of_array=0 if more else end_of_array)
            if len(self._buffer) == size:
                yield from self._single_members()
            if len(self._buffer) < size:
                threshold = _RUN_BYTES
            elif not more:
                raise IncompleteAnswer(f"A JSON file ends too early, or is no JSON, near byte {self._position}.")
            elif size > MEMBER_BYTES:
                limit = MEMBER_BYTES // 2**20
                raise UnusableAnswer(
                    f"A member of a JSON file is no object, or larger than {limit} MiB, near byte {self._position}."
                )
            else:
                threshold = 2 * size

    def _end_of_array(self) -> int:
        """Find where the last member ends if the array seems to end with the buffer; 0 if not."""
        text = self._buffer.rstrip(_BLANKS)
        return len(text) - 1 if self._key is None and text.endswith(b"}" + self._closing) else 0

    def _guessed_run(self, *, end_of_array: int) -> Iterator[T]:
        guesses = [(end_of_array, len(self._buffer))] if end_of_array else self._guesses()
        for end, next_start in guesses:
            run = b"%b%b%b" % (self._opening, self._buffer[:end], self._closing)
            if json_text.holds_nul(run):
                return
            try:
                decoded = self._decode(run)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, json_text.InvalidJSON):
                continue
            if not self._is_proven and not json_text.is_tame(run):
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
        done = 0
        while not self._closed:
            value = start if closing == "]" else _after(text, _value_end(text, start, '"'), ":")
            end = _value_end(text, value, "{")
            after = _skip_space(text, end) if end else 0
            if not end or text[after : after + 1] not in {",", closing}:
                break
            self.run = self._position + len(text[:start].encode()), self._position + len(text[:end].encode())
            yield self._decode_single(text[start:end])
            done = after + 1
            self._closed = text[after] == closing
            start = _skip_space(text, done)
        if done:
            self._inside = True
            self._drop(len(text[:done].encode()))

    def _decode_single(self, member: str) -> T:
        return self._accept(json_text.shallow(json_text.decode(self._opening + member.encode() + self._closing)))

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
            end = json_text.end_of_value(outer, 0)
            if not end:
                raise IncompleteAnswer("A JSON file ends too early: its outer object does not close.")
            rest = outer[end:]
        if rest.strip():
            raise UnusableAnswer("Something follows the end of a JSON file.")


def _decoded(data: bytes) -> str:
    """Decode UTF-8 that may end inside a character."""
    try:
        return codecs.utf_8_decode(data, "strict", False)[0]  # noqa: FBT003 -- the codec's own signature
    except UnicodeDecodeError:
        raise json_text.InvalidJSON("is not valid UTF-8") from None


def _skip_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _value_end(text: str, start: int, first: str) -> int:
    """Find where a JSON value ends; 0 if it is cut off, or does not begin as it should."""
    if text[start : start + 1] != first:
        return 0
    return json_text.end_of_value(text, start)


def _after(text: str, position: int, mark: str) -> int:
    """Find what follows a mark and space; 0 if the mark is not there."""
    position = _skip_space(text, position) if position else len(text)
    return _skip_space(text, position + 1) if text[position : position + 1] == mark else 0
