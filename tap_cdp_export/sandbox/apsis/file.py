"""Export file of APSIS One: one JSON object, generated profile by profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tap_cdp_export.sandbox.apsis import definitions
from tap_cdp_export.sandbox.responses import time_in, unchecked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_cdp_export.sandbox.options import ApsisOptions

_TIMES = frozenset({"createdAt", "sourceEventTime"})
_TAG_IDS = frozenset(version for definition in definitions.TAGS for version in definitions.versions(definition))
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
    yield b"\xef\xbb\xbf" * options.byte_order_mark + b"{" + gap
    if options.metadata == "before":
        yield b'"metadata"' + colon + metadata + b"," + gap
    yield b'"profiles"' + colon
    members = _members(profiles, options, colon)
    first = next(members, None)
    if first is None:
        yield b"null" if options.null_for_empty else b"{" + gap + b"}"
    else:
        yield b"{" + gap + first
        yield from (b"," + gap + member for member in members)
        yield gap + b"}"
    if options.metadata == "after":
        yield b"," + gap + b'"metadata"' + colon + metadata
    yield gap + b"}"


def _members(profiles: Iterable[tuple[str, dict[str, Any]]], options: ApsisOptions, colon: bytes) -> Iterator[bytes]:
    """Yield the encoded profiles with their keys."""
    if options.raw_profile:
        yield unchecked(options.raw_profile)
    for key, profile in profiles:
        if options.topics:
            _add_topics(profile)
        _reshape(profile, options)
        yield msgspec.json.encode(key) + colon + _text(profile, options)


def _reshape(profile: dict[str, Any], options: ApsisOptions) -> None:
    """Write times and tags in the form that the options ask for."""
    for section in profile["sections"].values():
        if section.get("events"):
            section["events"] = [_with_times(event, options.times) for event in section["events"]]
        for entry_id in section["attributes"].keys() & _TAG_IDS:
            section["attributes"][entry_id] = {"null": {"value": None}, "absent": {}, "true": {"value": True}}[
                options.tags
            ]
    if options.null_for_empty:
        missing = [section.number for section in definitions.SECTIONS if section.number not in profile["sections"]]
        profile["sections"].update(dict.fromkeys(missing))


def _with_times(event: dict[str, Any], form: str) -> dict[str, Any]:
    return {name: time_in(form, value) if name in _TIMES and value else value for name, value in event.items()}


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
