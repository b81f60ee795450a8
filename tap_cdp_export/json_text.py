"""JSON from strangers: one policy for all of it.

Strict grammar, UTF-8, exact integers, and numbers beyond a double's range as they are. A NUL or half a surrogate
pair in a text becomes U+FFFD, since databases refuse them; everything else that is not proper JSON is an error,
which never quotes the text.
"""

from __future__ import annotations

import codecs
import json
import math
import re
import sys
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeVar

import msgspec

DEEPEST: Final = 100
"""Objects and arrays may stand inside each other so often; targets' own readers give up near 1,000."""

_PIECE_BYTES: Final = 2**20
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

T = TypeVar("T")


class AnyObject(msgspec.Struct, gc=False):
    """Any JSON object, looked at and not kept: a decoder checks the grammar of all that it skips."""


class InvalidJSON(ValueError):
    """Text is no JSON that can be used; the message says why in a few words, without the text."""


def decode(text: bytes) -> Any:  # noqa: ANN401 -- any JSON
    """Decode one JSON value.

    Args:
        text: the value in UTF-8.

    Returns:
        Its Python form.

    Raises:
        InvalidJSON: If it is none.
    """
    if b"\\u0000" not in text:
        try:
            return _strict.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # half a surrogate pair looks like any other mistake here
    return decode_slowly(text)


def decode_slowly(text: bytes) -> Any:  # noqa: ANN401 -- any JSON
    """Decode one JSON value that may hold half a surrogate pair or a NUL.

    Args:
        text: the value in UTF-8.

    Returns:
        Its Python form.

    Raises:
        InvalidJSON: If it is none.
    """
    try:
        return storable(json.loads(text.decode(), parse_constant=_refuse, parse_float=_float))
    except UnicodeDecodeError:
        raise InvalidJSON("is not valid UTF-8") from None
    except RecursionError:
        raise InvalidJSON("is nested too deeply") from None
    except InvalidJSON:
        raise
    except ValueError:
        raise InvalidJSON("is not valid JSON") from None


def _refuse(_constant: str) -> None:
    raise InvalidJSON("holds NaN or Infinity")


def _float(digits: str) -> float | Decimal | msgspec.Raw:
    number = float(digits)
    if not math.isinf(number):
        return number
    try:
        return Decimal(digits)
    except InvalidOperation:  # even its exponent has no end; whatever it means, it is passed on
        return msgspec.Raw(digits.encode())


def is_tame(text: bytes, *, around: int = 0) -> bool:
    """Tell that JSON which a decoder has accepted, but may have skipped in part, needs none of this module's care.

    Args:
        text: JSON, or values with commas between them.
        around: how many objects and arrays it stands in.

    Returns:
        Whether it surely is UTF-8, not nested deeply, and without endless numbers.
    """
    if not text.isascii() and not _is_utf8(text):
        return False
    return _is_shallow(_brackets(text), DEEPEST - around) and not _may_hold_endless_number(text)


def _is_utf8(text: bytes) -> bool:
    """Decode piece by piece: a long text with one rare character would take four times its size."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(text), _PIECE_BYTES):
            decoder.decode(text[start : start + _PIECE_BYTES])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def holds_nul(text: bytes) -> bool:
    """Tell whether a text in JSON has a NUL, which must be replaced.

    Args:
        text: JSON.

    Returns:
        Whether it may have one.
    """
    return b"\\" in text and _NUL.search(text) is not None


def _may_hold_endless_number(text: bytes) -> bool:
    """Probe for more digits than Python reads: so many in a row cover a probed place, and as many as half beside it."""
    half = _MOST_DIGITS // 2
    return any(
        text[place - half : place].isdigit() or text[place : place + half].isdigit()
        for place in range(_MOST_DIGITS, len(text), _MOST_DIGITS)
        if text[place : place + 1].isdigit()
    )


def _brackets(text: bytes) -> bytes:
    """Give the brackets of JSON, all of them square, without those in its texts."""
    unescaped = _ESCAPE.sub(b"", text) if b"\\" in text else text
    marks = unescaped.translate(_SQUARE, _NOT_BRACKETS_OR_QUOTES)
    if 2 * marks.count(b'""') == marks.count(b'"'):  # no quote is apart from its text's other one
        return marks.translate(None, b'"')
    return _STRING.sub(b"", unescaped).translate(_SQUARE, _NOT_BRACKETS)


def _is_shallow(brackets: bytes, most: int) -> bool:
    """Take away the innermost brackets, one level at a time, until none is left."""
    for _ in range(most):
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return True
    return not brackets


def shallow(value: T) -> T:
    """Let pass what is not nested too deeply for the readers behind us.

    Args:
        value: any decoded JSON.

    Returns:
        The value.

    Raises:
        InvalidJSON: If it is nested deeper than `DEEPEST`.
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


def storable(value: Any) -> Any:  # noqa: ANN401 -- any JSON
    """Replace what no database stores in a text.

    Args:
        value: any decoded JSON.

    Returns:
        The same with U+FFFD in place of NULs and halves of surrogate pairs, keys included.
    """
    if isinstance(value, str):
        return value.translate(_UNSTORABLE)
    if isinstance(value, dict):
        return {key.translate(_UNSTORABLE): storable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [storable(inner) for inner in value]
    return value


_scanner: Final = json.JSONDecoder(parse_constant=_refuse, parse_float=_float)


def end_of_value(text: str, start: int) -> int:
    """Find where the value that begins at a place ends.

    Args:
        text: JSON, perhaps cut off.
        start: index of the value's first character.

    Returns:
        Index behind its last character; 0 if the text ends first or the value is no JSON.

    Raises:
        InvalidJSON: If it can never become usable.
    """
    try:
        return _scanner.raw_decode(text, start)[1]
    except RecursionError:
        raise InvalidJSON("is nested too deeply") from None
    except json.JSONDecodeError:
        return 0
    except InvalidJSON:
        raise
    except ValueError:  # an integer of more digits than Python reads
        raise InvalidJSON("holds a number out of range") from None
