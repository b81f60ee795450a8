"""Check the values of free-form columns, which stay the vendor's bytes: objects, and arrays of one type."""

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
"""Size from which texts are not decoded, since one with an emoji takes four bytes for each character."""

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


class FreeForm:
    """Checks the values of one column."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Choose the decoder.

        Args:
            schema: JSON schema of the column, an object or an array.
        """
        self._decoder = _array_decoders[kind_of(schema["items"])] if kind_of(schema) == "array" else _objects

    def misfits(self, values: Sequence[Raw], joined: bytes) -> Sequence[int]:
        """Find the places of values of another type than the column's.

        Args:
            values: encoded, their grammar verified.
            joined: the same with commas between them.

        Returns:
            The places; of objects all are found at once.
        """
        if len(joined) > LONG_BYTES:
            return [place for place, value in enumerate(values) if not self._can_decode(value)]
        if self._accepts(joined):
            return ()
        if self._decoder is _objects:
            kinds = map(type, _anything.decode(b"[%b]" % joined))
            return [place for place, kind in enumerate(kinds) if kind not in _OBJECT_TYPES]
        return [place for place, value in enumerate(values) if not self._can_decode(value)]

    def _can_decode(self, value: Raw) -> bool:
        """Return what decoding a value would show, without the memory of its items."""
        if self._decoder is _objects:
            return bytes(memoryview(value)[:1]) in {b"{", b"n"}
        if self._decoder is _text_arrays:
            return _TEXT_ARRAY.fullmatch(value) is not None
        return self._accepts(value)

    def _accepts(self, values: bytes | Raw) -> bool:
        try:
            self._decoder.decode(b"[%b]" % values)
        except msgspec.ValidationError:
            return False
        return True
