"""The types of free-form columns: values stay the vendor's bytes, and are only checked.

A long value is checked without decoding it: a list of a million short texts takes ten times its size as Python objects.
"""

from __future__ import annotations

import re
from types import NoneType
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Raw

from tap_cdp_export.files import strict_json
from tap_cdp_export.records.mapper import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONG_BYTES: Final = 1024 * 1024
"""Size from which values are not decoded; a text with an emoji takes four bytes for each character."""

_objects: Final = msgspec.json.Decoder(list[strict_json.ObjectOnly | None])
_text_arrays: Final = msgspec.json.Decoder(list[list[str] | None])
_array_decoders: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    "string": _text_arrays,
    "number": msgspec.json.Decoder(list[list[int | float] | None]),
    "object": msgspec.json.Decoder(list[list[strict_json.ObjectOnly] | None]),
}
_TEXT_ARRAY: Final = re.compile(rb'null|\[(?:[\s,]*+"(?:[^"\\]++|\\.)*+")*+\s*+\]')
_OBJECT_TYPES: Final = frozenset({strict_json.ObjectOnly, NoneType})
_anything: Final = msgspec.json.Decoder(list[strict_json.ObjectOnly | list[Raw] | str | int | float | bool | None])


def decoder_of(schema: Mapping[str, Any]) -> msgspec.json.Decoder[Any]:
    """Return what accepts a list of a column's values.

    Args:
        schema: JSON schema of a column of objects or arrays.
    """
    return _array_decoders[kind_of(schema["items"])] if kind_of(schema) == "array" else _objects


def can_decode(decoder: msgspec.json.Decoder[Any], values: Sequence[Raw], joined: bytes) -> bool:
    """Return whether all values have their column's type.

    Args:
        decoder: from `decoder_of`.
        values: encoded, with verified grammar.
        joined: the same, with commas between them.
    """
    if len(joined) > LONG_BYTES:
        return all(_can_decode_one(decoder, value) for value in values)
    return _is_accepted(decoder, joined)


def unconvertible_places(decoder: msgspec.json.Decoder[Any], values: Sequence[Raw], joined: bytes) -> list[int]:
    """Find the places of values of another type than their column's.

    Args:
        decoder: from `decoder_of`.
        values: encoded, with verified grammar.
        joined: the same, with commas between them.

    Returns:
        For example `[1]` for the values `{"a":1}`, `[]` and `null` of a column of objects.
    """
    if decoder is _objects:
        kinds = map(type, _anything.decode(b"[%b]" % joined))
        return [place for place, kind in enumerate(kinds) if kind not in _OBJECT_TYPES]
    return [place for place, value in enumerate(values) if not _can_decode_one(decoder, value)]


def _can_decode_one(decoder: msgspec.json.Decoder[Any], value: Raw) -> bool:
    if decoder is _objects:
        return bytes(memoryview(value)[:1]) in {b"{", b"n"}
    if decoder is _text_arrays:
        return _TEXT_ARRAY.fullmatch(value) is not None
    return _is_accepted(decoder, value)


def _is_accepted(decoder: msgspec.json.Decoder[Any], values: bytes | Raw) -> bool:
    try:
        decoder.decode(b"[%b]" % values)
    except msgspec.ValidationError:
        return False
    return True
