"""JSON from strangers: one policy for all of it.

Strict grammar, UTF-8, exact integers, and numbers beyond a double's range as they are. A NUL or half a surrogate
pair in a text becomes U+FFFD, since databases refuse them; everything else that is not proper JSON is an error,
which never quotes the text. Of a key that comes twice in an object the last value counts, as it does for every
reader; where an object becomes rows, `joined` says that nothing of the others is lost.
"""

from __future__ import annotations

import codecs
import json
import math
import re
import sys
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

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
_raw_array: Final = msgspec.json.Decoder(list[msgspec.Raw])

T = TypeVar("T")


class ObjectOnly(msgspec.Struct, gc=False):
    """Any JSON object, looked at and not kept: a decoder checks the grammar of all that it skips."""


class InvalidJSON(ValueError):
    """Text is no JSON that can be used; the message says why in a few words, without the text."""


class _Key:
    """A key of an object, equal to no other one: so a decoder keeps what stands under a key that comes twice."""

    __slots__ = ("text",)

    def __init__(self, _type: type, text: str) -> None:
        """Take what a decoder hands over."""
        self.text = text


_members: Final = msgspec.json.Decoder(dict[_Key, msgspec.Raw], dec_hook=_Key)


class _Pairs(list[tuple[str, Any]]):
    """The members of an object, in order."""


def decode(text: bytes, *, joined: int = 0) -> Any:  # noqa: ANN401 -- any JSON
    """Decode one JSON value.

    Args:
        text: the value in UTF-8.
        joined: in so many levels of objects, the outermost first, nothing is lost of objects and arrays under a
            key that comes twice: they are joined.

    Returns:
        Its Python form.

    Raises:
        InvalidJSON: If it is none.
    """
    if b"\\u0000" not in text:
        try:
            if not repeats_a_key(text, joined):
                return _strict.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # half a surrogate pair looks like any other mistake here
    return decode_slowly(text, joined=joined)


def decode_members(text: bytes, *, joined: int) -> list[tuple[str, Any]]:
    """Decode the members of one JSON object, each key as often as it comes.

    Args:
        text: an object in UTF-8.
        joined: as of `decode`, for each value.

    Returns:
        Keys and values in order.

    Raises:
        InvalidJSON: If it is no JSON.
    """
    if b"\\u0000" not in text:
        try:
            return [(key, decode(bytes(raw), joined=joined)) for key, raw in raw_members(text)]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
    return _loaded(
        text, lambda members: [(replace_unstorable(key), _plain(value, joined)) for key, value in members], _Pairs
    )


def raw_members(text: bytes | msgspec.Raw) -> list[tuple[str, msgspec.Raw]]:
    """Take a JSON object apart, each key as often as it comes.

    Args:
        text: the object in UTF-8.

    Returns:
        Keys and encoded values in order.

    Raises:
        msgspec.DecodeError: If it is no object.
    """
    return [(key.text, raw) for key, raw in _members.decode(text).items()]


def repeats_a_key(text: bytes | msgspec.Raw, levels: int) -> bool:
    """Tell whether a key comes twice in a JSON object or in the objects inside it.

    Args:
        text: JSON that a decoder accepts.
        levels: how many levels of objects are looked at.

    Returns:
        Whether one does; False where there are no objects.

    Raises:
        msgspec.DecodeError: If it is no JSON.
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
    """Decode one JSON value that may hold half a surrogate pair, a NUL or a key twice.

    Args:
        text: the value in UTF-8.
        joined: as of `decode`.

    Returns:
        Its Python form.

    Raises:
        InvalidJSON: If it is none.
    """
    return _loaded(text, lambda value: _plain(value, joined), _Pairs) if joined else _loaded(text, replace_unstorable)


def _loaded(text: bytes, finish: Callable[[Any], T], make_object: type[_Pairs] | None = None) -> T:
    try:
        value = json.loads(text.decode(), parse_constant=_refuse, parse_float=_float, object_pairs_hook=make_object)
        return finish(value)
    except UnicodeDecodeError:
        raise InvalidJSON("is not valid UTF-8") from None
    except RecursionError:
        raise InvalidJSON("is nested too deeply") from None
    except InvalidJSON:
        raise
    except ValueError:
        raise InvalidJSON("is not valid JSON") from None


def _plain(value: Any, joined: int) -> Any:  # noqa: ANN401 -- any JSON
    """Make objects of pairs, storable, and join what stands under a key that comes twice in the outer levels."""
    if isinstance(value, _Pairs):
        fields: dict[str, Any] = {}
        for key, inner in value:
            name, new = replace_unstorable(key), _plain(inner, max(joined - 1, 0))
            fields[name] = _union(fields[name], new, joined - 1) if joined and name in fields else new
        return fields
    return [_plain(inner, joined) for inner in value] if isinstance(value, list) else replace_unstorable(value)


def _union(old: Any, new: Any, joined: int) -> Any:  # noqa: ANN401 -- any JSON
    """Join two values of one key; what is neither two objects nor two arrays cannot be: there the last counts."""
    if isinstance(old, dict) and isinstance(new, dict):
        both = {key: _union(old[key], new[key], joined - 1) for key in old.keys() & new.keys()} if joined else {}
        return {**old, **new, **both}
    if isinstance(old, list) and isinstance(new, list):
        return old + new
    return old if new is None else new


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


def is_safe_to_pass_through(text: bytes, *, around: int = 0) -> bool:
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


def has_nul(text: bytes) -> bool:
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


def check_depth(value: T) -> T:
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


def replace_unstorable(value: Any) -> Any:  # noqa: ANN401 -- any JSON
    """Replace what no database stores in a text.

    Args:
        value: any decoded JSON.

    Returns:
        The same with U+FFFD in place of NULs and halves of surrogate pairs, keys included.
    """
    if isinstance(value, str):
        return value.translate(_UNSTORABLE)
    if isinstance(value, dict):
        return {key.translate(_UNSTORABLE): replace_unstorable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [replace_unstorable(inner) for inner in value]
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
