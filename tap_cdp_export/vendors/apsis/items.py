"""What an export asks for: attributes, tags and event types, as the settings name them.

An object in the settings goes into the request untouched. A text is a pattern over the definitions; which fields of
a definition make an item of the request is a setting too, since the vendor publishes no item shape.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tap_cdp_export.errors import SettingsError
from tap_cdp_export.vendors.apsis.export_file import named_identifiers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_cdp_export.vendors.apsis.definitions import Definition, Definitions, Version

KINDS: Final = ("attributes", "tags", "events")
_MOST: Final = {"attributes": 75, "tags": 25}
_DIGEST_BYTES: Final = 6
_canonical: Final = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True)
class Items:
    """The items of one kind.

    Attributes:
        requested: as they go into the request.
        identifiers: every ID that the settings or the definitions give for them.
    """

    requested: list[Any]
    identifiers: frozenset[str]

    @property
    def digests(self) -> list[str]:
        """What tells each item from others in STATE."""
        return list(dict.fromkeys(map(digest, self.requested)))


def read_items(definitions: Definitions, kind: str, settings: Mapping[str, Any]) -> Items:
    """Read the items of one kind; patterns are resolved from the definitions as they are now.

    Args:
        definitions: of the account; asked only if there is a pattern.
        kind: `attributes`, `tags` or `events`.
        settings: `apsis`.

    Returns:
        The items: those of the settings first, then the resolved ones, each once and in an order of their own.

    Raises:
        SettingsError: If a pattern matches nothing, a definition lacks a field that an item needs, or there are more
            items than the vendor exports at once.
    """
    requested = untouched(settings[kind])
    identifiers = named_identifiers(requested)
    for definition in _matching(definitions, kind, settings[kind]):
        identifiers |= set(definition.ids or filter(None, [definition.discriminator]))
        versions = definition.by_age if kind == "events" else definition.by_age[-1:]  # old events have old versions
        for version in versions:
            item = _item(_fields(definition, version), kind, settings["item_fields"])
            if item not in requested:
                requested.append(item)
    check_number(kind, requested)
    return Items(requested, frozenset(identifiers))


def untouched(items: list[Any]) -> list[Any]:
    """Give what is no pattern.

    Args:
        items: of a setting.

    Returns:
        What goes into the request as it is.
    """
    return [item for item in items if not isinstance(item, str)]


def check_number(kind: str, items: list[Any]) -> None:
    """Refuse more items than the vendor exports at once.

    Args:
        kind: `attributes`, `tags` or `events`.
        items: of the request.

    Raises:
        SettingsError: If there are more.
    """
    if len(items) > _MOST.get(kind, len(items)):
        raise SettingsError(
            f"Setting apsis.{kind} asks for {len(items)} {kind}, and the vendor exports at most {_MOST[kind]} at once. "
            "Name fewer, or divide them between several configurations with a state each."
        )


def grown(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return which parts of a selection may hold what they did not hold before.

    Args:
        before: by kind the digests of items, from STATE; of the segment filter one, or None without a filter.
        now: the same of this run.

    Returns:
        Names of settings with what is new.
    """
    parts = []
    for kind in KINDS:
        known = before.get(kind)
        if isinstance(known, list) and (new := [one for one in now[kind] if one not in known]):
            parts.append(f"apsis.{kind} ({len(new)} new)")
    if before.get("segment_filter") not in (None, now["segment_filter"]):
        parts.append("apsis.segment_filter (changed)")
    return parts


def _matching(definitions: Definitions, kind: str, items: list[Any]) -> list[Definition]:
    """Give the definitions that patterns match, in an order that does not depend on that of the vendor's lists."""
    found: dict[int, Definition] = {}
    for number, pattern in enumerate(items):
        if not isinstance(pattern, str):
            continue
        listed = definitions.of_kind(kind)
        plain = pattern.replace("[", "[[]")  # a bracket in a name is a bracket
        matching = {id(one): one for one in listed if any(fnmatchcase(name, plain) for name in _names(one, pattern))}
        if not matching:
            raise SettingsError(
                f"Setting apsis.{kind}.{number} matches none of the {len(listed)} {kind} that APSIS One defines. A "
                "pattern is a name or discriminator, with that of the section and a slash before it where it holds a "
                "slash; upper and lower case are distinct. What is not defined can be given as an object."
            )
        found |= matching
    return sorted(found.values(), key=lambda one: (one.section.discriminator, one.discriminator, one.ids))


def _names(definition: Definition, pattern: str) -> Iterator[str]:
    """Give what a pattern may call a definition; without a slash in it, it is of every section."""
    own = [name for name in (definition.rest.get("name"), definition.discriminator) if isinstance(name, str) and name]
    if "/" not in pattern:
        yield from own
        return
    section = definition.section
    for begin in (section.rest.get("name"), section.discriminator):
        yield from (f"{begin}/{name}" for name in own if begin)


def _item(fields: Mapping[str, Any], kind: str, item_fields: Mapping[str, str]) -> dict[str, Any]:
    """Write a definition as an item of the request."""
    there = [name for name, value in fields.items() if value not in (None, "", [], {})]
    if missing := sorted(set(item_fields.values()).difference(there)):
        raise SettingsError(
            f"Setting apsis.item_fields takes {', '.join(missing)} from the {kind} that apsis.{kind} matches, but one "
            f"of them has only {', '.join(sorted(there))}."
        )
    return {name: fields[source] for name, source in item_fields.items()}


def _fields(definition: Definition, version: Version) -> dict[str, Any]:
    """Give the fields of a version by the names that the streams of definitions have for them."""
    section = definition.section
    return {
        **definition.rest,
        **version.rest,
        "section_discriminator": section.discriminator,
        "section_id": section.id,
        "section_name": section.rest.get("name"),
        "discriminator": definition.discriminator,
        "version_id": version.id,
    }


def digest(item: object) -> str:
    """Distinguish an item or a filter from others.

    Args:
        item: any JSON.

    Returns:
        A short text that is always the same for the same JSON.
    """
    return hashlib.blake2b(_canonical.encode(item), digest_size=_DIGEST_BYTES).hexdigest()
