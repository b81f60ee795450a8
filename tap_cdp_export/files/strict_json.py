"""Strict JSON decoding for untrusted input.

The grammar of RFC 8259 in UTF-8, with exact integers, and numbers beyond the range of a double kept as `Decimal`. A NUL
or lone surrogate in a string becomes U+FFFD, since databases reject them; a bare `NaN`, `Infinity` or `-Infinity`, as
Java and Python write them, becomes null; a byte order mark before the value is skipped. All other invalid JSON is an
error whose message never quotes the input. Of a repeated key the last value counts, as in other parsers; where an
object becomes rows, `joined` merges the values instead. See docs/reliability.md, section 6.
"""

from __future__ import annotations

import codecs
import json
import math
import mmap
import re
import sys
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

DEEPEST: Final = 100
"""Maximum nesting of objects and arrays; the parsers of targets fail near 1,000 levels."""

_DECODE_BYTES: Final = 2**20
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_UNSTORABLE: Final = {0: _REPLACEMENT, **dict.fromkeys(range(0xD800, 0xE000), _REPLACEMENT)}
_MOST_DIGITS: Final = sys.int_info.default_max_str_digits
_NUL: Final = re.compile(rb"\\u0000")
_ESCAPE: Final = re.compile(rb"\\.")
_STRING: Final = re.compile(rb'"[^"]*"')
_SQUARE: Final = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_NOT_BRACKETS_OR_QUOTES: Final = bytes(set(_NOT_BRACKETS) - set(b'"'))
_strict: Final = msgspec.json.Decoder()
_raw_array: Final = msgspec.json.Decoder(list[msgspec.Raw])

BOM: Final = b"\xef\xbb\xbf"
"""Byte order mark of UTF-8."""

_HAS_REPLACED: Final = 0
_IS_TOLD: Final = 1
_nonfinite: Final = mmap.mmap(-1, 2)  # shared with the processes that are forked later

T = TypeVar("T")


class ObjectOnly(msgspec.Struct, gc=False):
    """Any JSON object, without its content; msgspec still checks the grammar of fields that it skips."""


class InvalidJSON(ValueError):
    """The input is not usable JSON; the message is a phrase such as "is nested too deeply", without the input."""


class _Key:
    """A key that equals no other key, so that a dict keeps every value of a repeated key."""

    __slots__ = ("text",)

    def __init__(self, _type: type, text: str) -> None:
        """Initialize as a `dec_hook` of msgspec is called."""
        self.text = text


_members: Final = msgspec.json.Decoder(dict[_Key, msgspec.Raw], dec_hook=_Key)


class _Pairs(list[tuple[str, Any]]):
    """The members of an object, in order and with repeated keys."""


def decode(text: bytes, *, joined: int = 0) -> Any:  # noqa: ANN401 -- any JSON
    """Decode one JSON value.

    Args:
        text: the value in UTF-8.
        joined: number of levels of objects, from the outermost, in which the objects or arrays under a repeated
            key are merged; with 1, `{"a":[1],"a":[2]}` gives `{"a": [1, 2]}`.

    Returns:
        The decoded value.

    Raises:
        InvalidJSON: If the text is not valid JSON.
    """
    text = text.removeprefix(BOM)
    if b"\\u0000" not in text:
        try:
            if not repeats_a_key(text, joined):
                return _strict.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # msgspec rejects a lone surrogate like any other error
    return decode_slowly(text, joined=joined)


def decode_members(text: bytes, *, joined: int) -> list[tuple[str, Any]]:
    """Decode the members of one JSON object, with repeated keys.

    Args:
        text: an object in UTF-8.
        joined: as in `decode`, for each value.

    Returns:
        Keys and decoded values, in order.

    Raises:
        InvalidJSON: If the text is not valid JSON.
    """
    if b"\\u0000" not in text:
        try:
            return [(key, decode(bytes(raw), joined=joined)) for key, raw in raw_members(text)]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
    return _load(
        text, lambda members: [(replace_unstorable(key), _to_plain(value, joined)) for key, value in members], _Pairs
    )


def raw_members(text: bytes | msgspec.Raw) -> list[tuple[str, msgspec.Raw]]:
    """Split a JSON object into its members, with repeated keys.

    Args:
        text: the object in UTF-8.

    Returns:
        Keys and encoded values, in order.

    Raises:
        msgspec.DecodeError: If the text is not a JSON object.
    """
    return [(key.text, raw) for key, raw in _members.decode(text).items()]


def repeats_a_key(text: bytes | msgspec.Raw, levels: int) -> bool:
    """Return whether an object repeats a key.

    Args:
        text: any JSON value; objects in arrays count as well.
        levels: number of levels of objects that are checked, from the outermost.

    Raises:
        msgspec.DecodeError: If the text is not valid JSON.
    """
    if not levels:
        return False
    try:
        members = raw_members(text)
    except msgspec.ValidationError:
        try:
            values = _raw_array.decode(text)
        except msgspec.ValidationError:
            return False
        return any(repeats_a_key(value, levels) for value in values)
    is_repeated = len({key for key, _ in members}) < len(members)
    return is_repeated or any(repeats_a_key(value, levels - 1) for _, value in members)


def decode_slowly(text: bytes, *, joined: int = 0) -> Any:  # noqa: ANN401 -- any JSON
    """Decode one JSON value that may contain lone surrogates, NULs or repeated keys.

    Args:
        text: the value in UTF-8.
        joined: as in `decode`.

    Returns:
        The decoded value.

    Raises:
        InvalidJSON: If the text is not valid JSON.
    """
    return _load(text, lambda value: _to_plain(value, joined), _Pairs) if joined else _load(text, replace_unstorable)


def _load(text: bytes, finish: Callable[[Any], T], make_object: type[_Pairs] | None = None) -> T:
    try:
        value = json.loads(
            text.decode(), parse_constant=_replace_constant, parse_float=_parse_float, object_pairs_hook=make_object
        )
        return finish(value)
    except UnicodeDecodeError:
        raise InvalidJSON("is not valid UTF-8") from None
    except RecursionError:
        raise InvalidJSON("is nested too deeply") from None
    except ValueError:
        raise InvalidJSON("is not valid JSON") from None


def _to_plain(value: Any, joined: int) -> Any:  # noqa: ANN401 -- any JSON
    """Convert pairs to dicts and strings to storable ones; merge the values of repeated keys in the outer levels."""
    if isinstance(value, _Pairs):
        fields: dict[str, Any] = {}
        for key, inner in value:
            name, new = replace_unstorable(key), _to_plain(inner, max(joined - 1, 0))
            fields[name] = _merge(fields[name], new, joined - 1) if joined and name in fields else new
        return fields
    return [_to_plain(inner, joined) for inner in value] if isinstance(value, list) else replace_unstorable(value)


def _merge(old: Any, new: Any, joined: int) -> Any:  # noqa: ANN401 -- any JSON
    """Merge two objects or two arrays; of other values return the last one that is not null."""
    if isinstance(old, dict) and isinstance(new, dict):
        common = {key: _merge(old[key], new[key], joined - 1) for key in old.keys() & new.keys()} if joined else {}
        return {**old, **new, **common}
    if isinstance(old, list) and isinstance(new, list):
        return old + new
    return old if new is None else new


def _replace_constant(_constant: str) -> None:
    """Give null for a bare NaN or infinity."""
    _nonfinite[_HAS_REPLACED] = True


def has_new_nonfinite() -> bool:
    """Return once whether a bare NaN or infinity has become null, in this process or one forked from it."""
    is_new = bool(_nonfinite[_HAS_REPLACED]) and not _nonfinite[_IS_TOLD]
    _nonfinite[_IS_TOLD] |= is_new
    return is_new


def _parse_float(digits: str) -> float | Decimal | msgspec.Raw:
    number = float(digits)
    if not math.isinf(number):
        return number
    try:
        return Decimal(digits)
    except InvalidOperation:  # the exponent is out of Decimal's range: pass the digits on unchanged
        return msgspec.Raw(digits.encode())


def is_safe_to_pass_through(text: bytes | bytearray, *, around: int = 0) -> bool:
    """Return True if raw JSON may be passed on undecoded, although a decoder skipped parts of it.

    msgspec checks the grammar of skipped parts, but neither their encoding, nor nesting, nor the length of numbers.

    Args:
        text: JSON, or values separated by commas.
        around: nesting level at which the text stands.

    Returns:
        True if it is valid UTF-8, at most `DEEPEST` levels deep, and has no integer too long for Python. A False may
        be a false alarm: the caller then decodes the text, which gives the exact answer.
    """
    if not text.isascii() and not _is_utf8(text):
        return False
    return _is_shallow(_brackets(text), DEEPEST - around) and not _may_hold_endless_number(text)


def is_text(value: msgspec.Raw) -> bool:
    """Return whether an encoded value, whose grammar is verified, is a string in valid UTF-8 or null."""
    with memoryview(value) as text:
        return bytes(text[:1]) in {b'"', b"n"} and _is_utf8(text)


def _is_utf8(text: bytes | bytearray | memoryview) -> bool:
    """Decode in pieces of 1 MiB: a `str` takes up to four times the memory of its UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(text), _DECODE_BYTES):
            decoder.decode(text[start : start + _DECODE_BYTES])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def has_nul(text: bytes | bytearray) -> bool:
    r"""Return whether JSON may contain an escaped NUL: `\u0000` counts even behind an escaped backslash."""
    return b"\\" in text and _NUL.search(text) is not None


def _may_hold_endless_number(text: bytes | bytearray) -> bool:
    """Return whether JSON may contain an integer with more digits than Python parses (4,300).

    Only every 4,300th byte is probed: a number that is longer covers at least one of these. If a probed byte is a
    digit, half as many bytes before it or behind it must be digits too. With a limit of 4 digits in place of 4,300:

        {"n":12,"s":"1x"}   probes at bytes 4, 8, 12 and 16 find no digit                         -> False
        {"n":1234567}       byte 8 is the digit 4, and the two bytes before it are the digits 23  -> True
    """
    half = _MOST_DIGITS // 2
    return any(
        text[position - half : position].isdigit() or text[position : position + half].isdigit()
        for position in range(_MOST_DIGITS, len(text), _MOST_DIGITS)
        if text[position : position + 1].isdigit()
    )


def _brackets(text: bytes | bytearray) -> bytes | bytearray:
    r"""Return the brackets of JSON outside its strings, all of them square.

    For example, `{"a\"{":[{}]}`: escapes are removed (`{"a{":[{}]}`), then strings (`{:[{}]}`), then all but brackets
    (`[[[]]]`). Where no string contains a bracket, quotes are in pairs, and one pass without a regex is enough.
    """
    unescaped = _ESCAPE.sub(b"", text) if b"\\" in text else text
    marks = unescaped.translate(_SQUARE, _NOT_BRACKETS_OR_QUOTES)
    if 2 * marks.count(b'""') == marks.count(b'"'):  # no string contains a bracket
        return marks.translate(None, b'"')
    return _STRING.sub(b"", unescaped).translate(_SQUARE, _NOT_BRACKETS)


def _is_shallow(brackets: bytes | bytearray, most: int) -> bool:
    """Return whether balanced brackets are at most `most` levels deep: each round removes the innermost level.

    For example, three rounds for three levels: `[[][[]]]` -> `[[]]` -> `[]` -> nothing.
    """
    for _ in range(most):
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return True
    return not brackets


def check_depth(value: T) -> T:
    """Check the nesting of a decoded value.

    Args:
        value: any decoded JSON.

    Returns:
        The value, unchanged.

    Raises:
        InvalidJSON: If it is nested more than `DEEPEST` levels deep.
    """
    level: list[Any] = [value]
    for _ in range(DEEPEST + 1):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
            if isinstance(inner, dict | list)
        ]
        if not level:
            return value
    raise InvalidJSON("is nested too deeply")


def check_nesting(text: bytes) -> None:
    """Check the nesting of valid JSON, also under a repeated key, of which a decoder keeps one value.

    Args:
        text: the JSON.

    Raises:
        InvalidJSON: If what it holds is nested more than `DEEPEST` levels deep, as `check_depth` counts them.
    """
    if not _is_shallow(_brackets(text), DEEPEST + 1):
        raise InvalidJSON("is nested too deeply")


def replace_unstorable(value: Any) -> Any:  # noqa: ANN401 -- any JSON
    """Replace characters that databases reject.

    Args:
        value: any decoded JSON.

    Returns:
        A copy with U+FFFD in place of NULs and lone surrogates, also in keys.
    """
    if isinstance(value, str):
        return value.translate(_UNSTORABLE)
    if isinstance(value, dict):
        return {key.translate(_UNSTORABLE): replace_unstorable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [replace_unstorable(inner) for inner in value]
    return value


_scanner: Final = json.JSONDecoder(parse_constant=_replace_constant, parse_float=_parse_float)


def end_of_value(text: str, start: int) -> int:
    """Find the end of a JSON value.

    Args:
        text: JSON, possibly truncated.
        start: index of the first character of the value.

    Returns:
        Index behind its last character; 0 if the value is truncated or has a syntax error.

    Raises:
        InvalidJSON: If no continuation could make it usable, as with too deep nesting.
    """
    try:
        return _scanner.raw_decode(text, start)[1]
    except RecursionError:
        raise InvalidJSON("is nested too deeply") from None
    except json.JSONDecodeError:
        return 0
    except ValueError:  # an integer with more digits than Python parses
        raise InvalidJSON("holds a number out of range") from None
