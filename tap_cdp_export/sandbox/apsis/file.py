"""Export file of APSIS One: one JSON object, generated profile by profile."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import msgspec

from tap_cdp_export.sandbox.apsis import definitions
from tap_cdp_export.sandbox.responses import unchecked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_cdp_export.sandbox.options import ApsisOptions

_GZIP = 16 + zlib.MAX_WBITS
_FAST = 1
_METADATA = {
    "sections": {
        section.number: {"events": {}, "attributes": {}, "name": section.name, "profiles": {"not": "these"}}
        for section in definitions.SECTIONS
    }
}


def export_file(profiles: Iterable[tuple[str, dict[str, Any]]], options: ApsisOptions) -> Iterator[bytes]:
    """Yield the bytes of the file, with at most one profile in memory."""
    metadata = _text(_METADATA, options)
    gap = b"\n" if options.pretty else b""
    colon = b": " if options.pretty else b":"
    yield b"{" + gap
    if options.metadata == "before":
        yield b'"metadata"' + colon + metadata + b"," + gap
    yield b'"profiles"' + colon + b"{"
    lead = gap
    if options.raw_profile:
        yield lead + unchecked(options.raw_profile)
        lead = b"," + gap
    for key, profile in profiles:
        if options.topics:
            _add_topics(profile)
        yield lead + msgspec.json.encode(key) + colon + _text(profile, options)
        lead = b"," + gap
    yield gap + b"}"
    if options.metadata == "after":
        yield b"," + gap + b'"metadata"' + colon + metadata
    yield gap + b"}"


def gzipped(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Compress the parts into one gzip member; a compressed part may be empty while zlib buffers."""
    compressor = zlib.compressobj(_FAST, zlib.DEFLATED, _GZIP)
    for part in parts:
        yield compressor.compress(part)
    yield compressor.flush()


def _text(value: dict[str, Any], options: ApsisOptions) -> bytes:
    data = msgspec.json.encode(_reversed(value) if options.reversed_keys else value)
    return msgspec.json.format(data, indent=2) if options.pretty else data


def _reversed(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return [_reversed(item) for item in value] if isinstance(value, list) else value


def _add_topics(profile: dict[str, Any]) -> None:
    """Add topic states, whose position and form are undocumented."""
    for section in profile["sections"].values():
        section["topics"] = {"usercreated.topics.offers-a1b2c3d4e5": {"email": "opt-in"}}
