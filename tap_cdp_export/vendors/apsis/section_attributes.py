"""The attributes and tags of a section; those of a long one some hundreds at a time.

A section with hundreds of thousands of attributes takes many times its size as Python objects. So each piece of it is
decoded, encoded again and joined. With two members a piece:

    {"1":{"value":"a"},"2":{"value":null},"3":{"value":7}}      attributes   tags
    {"1":{"value":"a"},"2":{"value":null}}                      {"1":"a"     ["2"
    {"3":{"value":7}}                                           ,"3":7}      ]
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from tap_cdp_export.errors import UnusableAnswer
from tap_cdp_export.files import strict_json
from tap_cdp_export.files.json_container import object_of
from tap_cdp_export.files.json_splitter import read_chunks
from tap_cdp_export.records import free_form
from tap_cdp_export.records.batch import encode_into

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tap_cdp_export.vendors.apsis.export_file import KnownIds

_READ_BYTES: Final = 64 * 1024
_BUCKETS: Final = 64
_ENTRIES: Final = object_of("value")


class Entry(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An attribute or a tag of the documented form."""

    value: Any = None


class _LongEntry(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    value: msgspec.Raw = msgspec.Raw(b"null")


class LongAttributes(NamedTuple):
    """What a long section holds.

    Attributes:
        attributes: a JSON object of values by ID.
        tags: a JSON array of IDs.
        wanted_attributes: those values whose IDs were asked for.
        wanted_tags: those IDs that were asked for.
    """

    attributes: msgspec.Raw
    tags: msgspec.Raw
    wanted_attributes: dict[str, Any]
    wanted_tags: list[str]


_entries: Final = msgspec.json.Decoder(dict[str, Entry])
_any: Final = msgspec.json.Decoder()
_long_entries: Final = msgspec.json.Decoder(dict[str, _LongEntry])


def separate(entries: Mapping[str, Entry], known: KnownIds) -> tuple[dict[str, Any], list[str]]:
    """Separate attributes from tags, which have no value.

    Args:
        entries: of a section, by ID.
        known: IDs whose kind is known.

    Returns:
        The values of attributes by ID, and the IDs of tags.
    """
    values = {}
    tags = []
    for entry_id, entry in entries.items():
        value = entry.value
        if (value is None or value is True) and known.is_tag(entry_id, value):
            tags.append(entry_id)
        else:
            values[entry_id] = value
    return values, tags


def separate_long(entries: msgspec.Raw, known: KnownIds, wanted: Collection[str]) -> LongAttributes | None:
    """Separate attributes from tags, piece by piece.

    Args:
        entries: of a section, as encoded; without a NUL.
        known: as for `separate`.
        wanted: IDs of which the values are needed.

    Returns:
        What `separate` gives, encoded; None if an entry is not of the documented form, or an ID may come twice.
    """
    attributes, tags = bytearray(b"{"), bytearray(b"[")
    wanted_attributes: dict[str, Any] = {}
    wanted_tags: list[str] = []
    hashes = [array("q") for _ in range(_BUCKETS)]  # far smaller than a set of the IDs
    try:
        for piece in read_chunks(_cut(entries), _ENTRIES, _decode, _refuse, is_verified=True):
            for number in map(hash, piece):
                hashes[number % _BUCKETS].append(number)
            values, tag_ids = separate(piece, known)
            _extend(attributes, values)
            _extend(tags, tag_ids)
            wanted_attributes |= {entry_id: _decoded(values[entry_id]) for entry_id in wanted if entry_id in values}
            wanted_tags += [entry_id for entry_id in tag_ids if entry_id in wanted]
    except UnusableAnswer:
        return None
    if any(len(set(bucket)) < len(bucket) for bucket in hashes):
        return None
    attributes += b"}"
    tags += b"]"
    return LongAttributes(msgspec.Raw(attributes), msgspec.Raw(tags), wanted_attributes, wanted_tags)


def _decode(piece: bytes) -> dict[str, Entry]:
    """Decode entries; a long text stays encoded, since one with an emoji takes four bytes for each character."""
    if len(piece) <= free_form.LONG_BYTES:
        return _entries.decode(piece)
    values = {entry_id: entry.value for entry_id, entry in _long_entries.decode(piece).items()}
    return {
        entry_id: Entry(value if _is_long_text(value) else _any.decode(value)) for entry_id, value in values.items()
    }


def _is_long_text(value: msgspec.Raw) -> bool:
    return memoryview(value).nbytes > free_form.LONG_BYTES and strict_json.is_text(value)


def _decoded(value: object) -> object:
    return _any.decode(value) if isinstance(value, msgspec.Raw) else value


def _cut(entries: msgspec.Raw) -> Iterator[bytes]:
    with memoryview(entries) as view:
        for start in range(0, len(view), _READ_BYTES):
            yield bytes(view[start : start + _READ_BYTES])


def _refuse(_entries: object) -> dict[str, Entry]:
    raise UnusableAnswer("An attribute of the export is not of the documented form.")


def _extend(json: bytearray, members: Collection[Any]) -> None:
    """Put members behind those of a JSON object or array that is still open: `{"1":"a"` becomes `{"1":"a","3":7`."""
    if members:
        end = len(json)
        encode_into(members, json, end)
        if end > 1:
            json[end : end + 1] = b","
        else:
            del json[:1]
        del json[-1:]
