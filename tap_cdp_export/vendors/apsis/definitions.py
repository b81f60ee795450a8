"""What an account defines: lists that turn the file's IDs into names (docs/vendors/apsis.md, section 8).

Each list is an object with `items`. Paging is not documented, so a next link is followed if one appears. Which
fields an item has is documented only in part: what is looked for here may be absent, and what is not is kept.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from tap_cdp_export.errors import RequestRefused, UnusableAnswer
from tap_cdp_export.files import strict_json
from tap_cdp_export.http.client import ApiRequest
from tap_cdp_export.http.reasons import reason_in
from tap_cdp_export.http.responses import read_object
from tap_cdp_export.records.properties import NO_IDENTITY
from tap_cdp_export.vendors.apsis.export_file import identifier

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import requests

    from tap_cdp_export.vendors.apsis.api import ApsisApi

logger = logging.getLogger(__name__)

_LISTS: Final = {
    "sections": "/audience/sections",
    "segments": "/audience/segments",
    "attributes": "/audience/sections/{}/attributes",
    "tags": "/audience/sections/{}/tags",
    "events": "/audience/sections/{}/events",
    "topics": "/v2/audience/sections/{}/topics",
}
_MOST_PAGES: Final = 1000
_LARGEST_PAGE: Final = 64 * 2**20
_ID_FIELDS: Final = ("id", "section_id", "sectionId")
_OF_A_VERSION: Final = ("name", "description", "type", "deprecated_at")


@dataclass(frozen=True)
class Section:
    """A section of the account.

    Attributes:
        discriminator: what requests name it by.
        id: what the export file names it by; None if it cannot be told.
        rest: the other fields.
    """

    discriminator: str
    id: str | None
    rest: Mapping[str, Any]


@dataclass(frozen=True)
class Version:
    """One version of a definition.

    Attributes:
        id: what the export file names it by; empty if it has none.
        rest: the other fields.
    """

    id: str
    rest: Mapping[str, Any]


@dataclass(frozen=True)
class Definition:
    """An attribute, a tag or an event type of one section.

    Attributes:
        section: where it is defined.
        discriminator: what requests name it by; empty if it has none.
        versions: all of them, deprecated ones too; one at least.
        rest: the other fields.
    """

    section: Section
    discriminator: str
    versions: tuple[Version, ...]
    rest: Mapping[str, Any]

    @property
    def ids(self) -> tuple[str, ...]:
        """Every ID that the export file may use for it, the current version's last."""
        ids = (identifier(self.rest.get("id")), *(version.id for version in self.by_age))
        return tuple(dict.fromkeys(one for one in ids if isinstance(one, str) and one))

    @property
    def by_age(self) -> list[Version]:
        """The versions, deprecated ones first, the current one last."""
        return sorted(self.versions, key=lambda version: (not version.rest.get("deprecated_at"), age(version.id)))

    @classmethod
    def of(cls, section: Section, item: Mapping[str, Any]) -> Definition:
        """Read an item of a list.

        Args:
            section: whose list it is.
            item: as sent.

        Returns:
            The same, taken apart.
        """
        discriminator, rest = _taken(item, "discriminator")
        listed = rest.get("versions")
        if not isinstance(listed, list) or not listed:
            return cls(section, discriminator, (Version(_text(rest.get("id")), {}),), rest)
        rest = {name: value for name, value in rest.items() if name != "versions"}
        versions = (version if isinstance(version, dict) else {"id": version} for version in listed)
        return cls(section, discriminator, tuple(Version(*_taken(version, "id")) for version in versions), rest)


def age(identifier: str) -> tuple[int, str]:
    """Order version IDs, decimal numbers in text, by age.

    Args:
        identifier: such as `9820534`.

    Returns:
        A sort key; the vendor counts up, so older ones come first.
    """
    return len(identifier), identifier


def _text(value: object) -> str:
    text = identifier(value)
    return text if isinstance(text, str) else ""


def _taken(item: Mapping[str, Any], name: str) -> tuple[str, dict[str, Any]]:
    """Take an ID out of an object; empty if there is none, and what is no ID stays where it is."""
    text = _text(item.get(name))
    return text, {key: value for key, value in item.items() if key != name or not text}


class Definitions:
    """The lists of one account, each read once a run."""

    def __init__(self, api: ApsisApi) -> None:
        """Connect nothing yet.

        Args:
            api: where to ask.
        """
        self._api = api
        self.sections = cache(self._sections)
        self.segments = cache(self._segments)
        self.of_sections = cache(self._of_sections)
        self.of_kind = cache(self._of_kind)

    def _sections(self) -> list[Section]:
        """List the sections.

        Returns:
            All of them.

        Raises:
            UnusableAnswer: If one has no discriminator, without which its definitions cannot be asked for.
        """
        sections = [_section(item) for item in self._items("sections")]
        if any(not section.discriminator for section in sections):
            raise UnusableAnswer("APSIS One lists a section without its discriminator.")
        if any(section.id is None for section in sections):
            logger.warning(
                "No field of a section looks like the ID that exports use; apsis_sections keeps it in extra."
            )
        return sections

    def _segments(self) -> list[dict[str, Any]]:
        """List the segments.

        Returns:
            The items as sent.
        """
        return list(self._items("segments"))

    def _of_sections(self, kind: str) -> list[tuple[Section, dict[str, Any]]]:
        """List what every section defines.

        Args:
            kind: `attributes`, `tags`, `events` or `topics`.

        Returns:
            The items as sent, each with its section.
        """
        return [(section, item) for section in self.sections() for item in self._items(kind, section.discriminator)]

    def _of_kind(self, kind: str) -> list[Definition]:
        """List what every section defines, taken apart.

        Args:
            kind: `attributes`, `tags` or `events`.

        Returns:
            The definitions in the vendor's order.
        """
        return [Definition.of(section, item) for section, item in self.of_sections(kind)]

    def _items(self, kind: str, section: str = "") -> Iterator[dict[str, Any]]:
        """Read a list to its end."""
        what = f"the list of {kind}"
        url: str | None = self._api.base_url + _LISTS[kind].format(quote(section, safe=""))
        seen: set[str] = set()
        while url:
            if url in seen or len(seen) == _MOST_PAGES:
                raise UnusableAnswer(f"APSIS One gives {what} in pages without end.")
            seen.add(url)
            items, url = self._page(ApiRequest("GET", url, what=what, headers={"Accept": "application/json"}))
            yield from items

    def _page(self, call: ApiRequest) -> tuple[list[dict[str, Any]], str | None]:
        """Read one page; return the URL of the next."""

        def consume(answer: requests.Response, chunks: Iterator[bytes]) -> tuple[list[dict[str, Any]], str | None]:
            try:
                page = strict_json.check_depth(read_object(chunks, limit=_LARGEST_PAGE))
            except strict_json.InvalidJSON as error:
                raise UnusableAnswer(f"In APSIS One's answer, {call.what} {error}.") from None
            items = page.get("items")
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise UnusableAnswer(f"APSIS One answered the request for {call.what} without items.{reason_in(page)}")
            if following := _next_link(page) or answer.links.get("next", {}).get("url"):
                following = self._api.url(self._api.own_path(following, "a next link", base=call.url))
            return items, following

        try:
            return self._api.send(call, consume)
        except RequestRefused as refusal:
            if refusal.status != HTTPStatus.NOT_FOUND:
                raise
            raise RequestRefused(
                f"APSIS One does not offer {call.what} (404).{refusal.reason} "
                "Leave this stream out, or check that the account has such.",
                status=refusal.status,
                reason=refusal.reason,
            ) from None


def _section(item: Mapping[str, Any]) -> Section:
    """Read a section; the name of its ID's field is not documented, so else the only ID it has counts."""
    discriminator, rest = _taken(item, "discriminator")
    named = [name for name in _ID_FIELDS if _text(rest.get(name))]
    numbers = [name for name, value in rest.items() if _text(value).isdecimal()]
    if not named and len(numbers) != 1:
        return Section(discriminator, None, rest)
    return Section(discriminator, *_taken(rest, [*named, *numbers][0]))


def _next_link(page: Mapping[str, Any]) -> str | None:
    """Find a next link in the usual places."""
    for holder in (page, page.get("links"), page.get("_links")):
        link = holder.get("next") if isinstance(holder, dict) else None
        link = link.get("href") if isinstance(link, dict) else link
        if isinstance(link, str) and link:
            return link
    return None


def rows(definitions: Definitions, kind: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Flatten a list: one row for each item, and for each version where the export file names versions.

    Args:
        definitions: of the account.
        kind: one of the lists.

    Yields:
        The keys of a row, and the vendor's other fields.
    """
    if kind == "sections":
        for section in definitions.sections():
            yield _keys(section), dict(section.rest)
    elif kind == "segments":
        for item in definitions.segments():
            discriminator, rest = _taken(item, "discriminator")
            yield {"discriminator": discriminator or NO_IDENTITY}, rest
    else:
        for section, item in definitions.of_sections(kind):
            discriminator, rest = _taken(item, "discriminator")
            keys = {**_keys(section), "discriminator": discriminator or NO_IDENTITY}
            if kind == "topics":
                yield keys, rest
                continue
            definition = Definition.of(section, item)
            for version in definition.versions:
                yield {**keys, "version_id": version.id or NO_IDENTITY}, _fields(definition.rest, version.rest)


def _keys(section: Section) -> dict[str, Any]:
    return {"section_discriminator": section.discriminator, "section_id": section.id}


def _fields(item: Mapping[str, Any], version: Mapping[str, Any]) -> dict[str, Any]:
    """Join the fields of an item and of one version; what the columns cannot tell apart stays under `versions`."""
    taken = {name: version[name] for name in _OF_A_VERSION if name in version and item.get(name) is None}
    left = {name: value for name, value in version.items() if name not in taken}
    fields = {**item, **taken}
    if "id" in fields:
        fields["id"] = identifier(fields["id"])
    return {**fields, "versions": [left]} if left else fields
