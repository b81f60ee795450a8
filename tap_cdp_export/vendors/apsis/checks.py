"""What the check asks APSIS One, and what the answers say about the unknown facts."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from tap_cdp_export.check.observer import ANY_STATUS
from tap_cdp_export.check.shapes import media_type
from tap_cdp_export.check.vendor_check import VendorCheck
from tap_cdp_export.http.client import ApiRequest
from tap_cdp_export.signals import STOP
from tap_cdp_export.vendors.apsis.check_file import check_export_file, versions_of
from tap_cdp_export.vendors.apsis.unknowns import UNKNOWNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tap_cdp_export.check.observer import Observation, Observer
    from tap_cdp_export.vendors.apsis.account import ApsisAccount
    from tap_cdp_export.vendors.apsis.api import ApsisApi

logger = logging.getLogger(__name__)

_EXPORTS: Final = "/audience/profiles/exports"
_SECTION_LISTS: Final = {
    "attributes": "/audience/sections/{}/attributes",
    "tags": "/audience/sections/{}/tags",
    "events": "/audience/sections/{}/events",
    "topics": "/v2/audience/sections/{}/topics",
}
_ACCOUNT_LISTS: Final = {"segments": "/audience/segments", "keyspaces": "/audience/keyspaces"}
_URL_FIELD: Final = "file_download_url"
_URL_BEGINNINGS: Final = ("https://", "http://", "/")
_WINDOW: Final = timedelta(days=1)
_EVENT_TYPES: Final = 10
_NOT_FOUND: Final = 404
_NOT_READY: Final = frozenset({202, _NOT_FOUND})
_PENDING: Final = _NOT_READY | {429}
_FAILED: Final = 503
_ACCEPTED: Final = 202
_BAD_REQUEST: Final = 400
_ERRORS: Final = range(400, 600)
_REFUSALS: Final = range(400, 500)
_OTHER_ANSWERS: Final = frozenset({401, 403, 408, 429})
_NAMES: Final = """
attributes correlationId createdAt data deprecated_at description discriminator events file_download_url
file_download_url_v2 id items metadata name next poll_url profiles sectionId section_id sections sourceEventTime tags
topics type typeId url value version_id versions detail status title
"""


def _ask(account: ApsisAccount, settings: Mapping[str, Any], observer: Observer) -> None:
    """Ask for a token and the lists of definitions, and if that is allowed for one export."""
    account.api.check_access()
    observer.rights["a token"] = True
    check = _Check(account.api, observer)
    lists = check.definitions()
    if observer.may_export:
        check.export(lists, settings)


class _Check:
    """The requests to one account."""

    def __init__(self, api: ApsisApi, observer: Observer) -> None:
        self._api = api
        self._observer = observer

    def _record(self, name: str, *, holds: bool | None) -> None:
        self._observer.record(f"apsis.{name}", holds=holds)

    def _send(self, method: str, url: str, what: str, *, json: Any = None, accept: str = "identity") -> Observation:  # noqa: ANN401 -- any JSON
        headers = {"Accept": "application/json", "Accept-Encoding": accept}
        call = ApiRequest(method, url, what=what, json=json, headers=headers, expected=ANY_STATUS)
        answer = self._observer.observe(self._api.send, call)
        if answer.status in _ERRORS and answer.body:
            self._record("error-type", holds=media_type(answer.headers) == "application/problem+json")
        return answer

    def _list(self, kind: str, path: str) -> list[dict[str, Any]]:
        answer = self._send("GET", self._api.base_url + path, f"the list of {kind}")
        self._observer.right(f"the list of {kind}", answer)
        if not answer.is_success:
            return []
        page = answer.object
        holders = (page, page.get("links"), page.get("_links"))
        has_next = any(isinstance(holder, dict) and holder.get("next") for holder in holders)
        self._record("list-paging", holds=not has_next and 'rel="next"' not in answer.headers.get("Link", ""))
        return answer.objects("items")

    def definitions(self) -> dict[str, list[dict[str, Any]]]:
        """Read every list once, those of a section for the first one only.

        Returns:
            The items by list.
        """
        lists = {"sections": self._list("sections", "/audience/sections")}
        if lists["sections"]:
            self._record("section-id", holds=all("id" in section for section in lists["sections"]))
        section = next((s["discriminator"] for s in lists["sections"] if isinstance(s.get("discriminator"), str)), "")
        if section:
            for kind, path in _SECTION_LISTS.items():
                lists[kind] = self._list(kind, path.format(quote(section, safe="")))
        for kind, path in _ACCOUNT_LISTS.items():
            lists[kind] = self._list(kind, path)
        if tags := lists.get("tags"):
            self._record("tag-fields", holds=all({"discriminator", "name", "versions"} <= tag.keys() for tag in tags))
        versions = [version for event in lists.get("events", []) for version in versions_of(event)]
        if versions:
            self._record("event-versions", holds=all(version.keys() <= {"id", "deprecated_at"} for version in versions))
        if keyspaces := lists["keyspaces"]:
            self._record("keyspace-fields", holds=all(each.keys() <= {"discriminator", "name"} for each in keyspaces))
        return lists

    def export(self, lists: Mapping[str, list[dict[str, Any]]], settings: Mapping[str, Any]) -> None:
        """Ask for an export in one form after another until one is accepted, and read it.

        Args:
            lists: the definitions.
            settings: `apsis`.
        """
        end = datetime.now(UTC).replace(microsecond=0)
        window = {"start_at": f"{end - _WINDOW:%Y-%m-%dT%H:%M:%SZ}", "end_at": f"{end:%Y-%m-%dT%H:%M:%SZ}"}
        pause = 0.0
        for form, body in _bodies(lists, settings):
            if pause:
                logger.info("The next form of a request may be sent in %.0f s.", pause)
            with STOP.interruptible():
                time.sleep(pause)
            pause = 60 / settings["requests_per_minute"]
            answer = self._send(
                "POST", f"{self._api.base_url}{_EXPORTS}", f"an export, {form}", json={**body, **window}
            )
            self._check_form(form, answer)
            if answer.is_success:
                self._observer.exports += 1
                self._record("request-status", holds=answer.status == _ACCEPTED)
                self._read(answer, lists, end, settings)
                return
            if not _is_refusal(answer):
                return
            self._record("refusal-status", holds=answer.status == _BAD_REQUEST)

    def _check_form(self, form: str, answer: Observation) -> None:
        """Record the outcome of a guessed form; refused only with a filter, the filter is wrong."""
        if not answer.is_success and not _is_refusal(answer):
            return
        if form == _WITH_FILTER:
            self._record("items", holds=True if answer.is_success else None)
            self._record("segment-filter", holds=True if answer.is_success else None)
        elif form == _GUESSED:
            self._record("items", holds=answer.is_success)
            was_tried = any(entry["request"] == f"an export, {_WITH_FILTER}" for entry in self._observer.requests)
            self._record("segment-filter", holds=False if answer.is_success and was_tried else None)

    def _read(
        self,
        accepted: Observation,
        lists: Mapping[str, list[dict[str, Any]]],
        end: datetime,
        settings: Mapping[str, Any],
    ) -> None:
        """Poll an accepted export, and check its file."""
        urls = {
            name: value
            for name, value in accepted.object.items()
            if isinstance(value, str) and value.startswith(_URL_BEGINNINGS)
        }
        self._record("poll-url-field", holds=_URL_FIELD in urls)
        url = urls.get(_URL_FIELD) or next(iter(urls.values()), "") or accepted.headers.get("Location", "")
        if not url:
            return
        self._record("poll-url-absolute", holds="://" in url)
        poll_url = self._api.url(self._api.own_path(url, "a poll URL"))
        answers = self._observer.poll(
            lambda: self._send("GET", poll_url, "the state of the export", accept="gzip"),
            lambda answer: answer.status in _PENDING,
            settings,
        )
        *_, last = answers
        for answer in answers:
            if answer.status not in _NOT_READY:
                continue
            self._record("poll-status", holds=answer.status == _NOT_FOUND)
            self._record("poll-retry-after", holds="Retry-After" not in answer.headers)
        if last.status == _FAILED or (last.is_success and last.object and "profiles" not in last.object):
            self._record("failure", holds=last.status == _FAILED)
        elif last.is_success:
            check_export_file(last.object, lists, (end - _WINDOW, end), self._record)


def _is_refusal(answer: Observation) -> bool:
    """Whether an answer refuses the content of a request, and not its sender or its time."""
    return answer.status in _REFUSALS and answer.status not in _OTHER_ANSWERS


_WITH_FILTER: Final = "guessed items and segment_filter"
_GUESSED: Final = "guessed items"
_CONFIGURED: Final = "configured items"


def _bodies(
    lists: Mapping[str, list[dict[str, Any]]], settings: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the forms of a request, from the one that tells most: one attribute, one tag and one event type."""
    section = next((each["discriminator"] for each in lists["sections"] if "discriminator" in each), None)
    chosen = {
        "attributes": _chosen(lists.get("attributes", []))[:1],
        "tags": _chosen(lists.get("tags", []))[:1],
        "events": _chosen(lists.get("events", []))[:_EVENT_TYPES],
    }
    guess = {
        kind: [{"section_discriminator": section, "version_id": version} for version in versions]
        for kind, versions in chosen.items()
        if versions
    }
    if guess.keys() & {"attributes", "tags"}:
        segment = next((each["discriminator"] for each in lists["segments"] if "discriminator" in each), None)
        if segment:
            guessed_filter = {"segment_discriminator": segment, "timezone": "Europe/Stockholm"}
            yield _WITH_FILTER, {**guess, "segment_filter": guessed_filter}
        own_filter = {"segment_filter": settings["segment_filter"]} if "segment_filter" in settings else {}
        yield _GUESSED, {**guess, **own_filter}
    configured = {
        kind: [item for item in settings[kind] if isinstance(item, dict)][:1]
        for kind in ("attributes", "tags", "events")
    }
    if configured["attributes"] or configured["tags"]:
        own = {name: settings[name] for name in ("segment_filter",) if name in settings}
        yield _CONFIGURED, {**{kind: items for kind, items in configured.items() if items}, **own}


def _chosen(items: Iterable[dict[str, Any]]) -> list[str]:
    """Return current version IDs; those of type Timestamp first, as the form of their values is unknown."""
    usable = [item for item in items if _current(item)]
    return [_current(item) for item in sorted(usable, key=lambda item: str(item.get("type")).lower() != "timestamp")]


def _current(item: Mapping[str, Any]) -> str:
    """Return the ID of the version that is not deprecated; empty if there is none."""
    return next((str(each["id"]) for each in versions_of(item) if "id" in each and not each.get("deprecated_at")), "")


CHECK: Final = VendorCheck(
    unknowns=UNKNOWNS,
    names=frozenset(_NAMES.split()),
    requests=("1 token, if there is none", "7 lists of definitions"),
    export_requests=(
        "up to 3 requests for an export, a minute apart, of which one is accepted",
        "1 export: an attribute, a tag, a day of ten event types; of a segment where the guessed filter is accepted",
    ),
    ask=_ask,
)
