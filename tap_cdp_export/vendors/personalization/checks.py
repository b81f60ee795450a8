"""What the check asks Personalization, and what the answers say about the unknown facts."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.check.observer import ANY_STATUS
from tap_cdp_export.check.shapes import media_type
from tap_cdp_export.check.vendor_check import VendorCheck
from tap_cdp_export.http.client import ApiRequest
from tap_cdp_export.records.mapper import camel_case
from tap_cdp_export.vendors.personalization.schemas import ACCOUNTS, USERS
from tap_cdp_export.vendors.personalization.unknowns import UNKNOWNS
from tap_cdp_export.windows import epoch_milliseconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_cdp_export.check.observer import Observation, Observer
    from tap_cdp_export.vendors.personalization.client import PersonalizationClient

_SAMPLE: Final = 5
_PAST_END: Final = 10_000_000
_NO_SUCH: Final = "tap-cdp-export-check-none"
_QUICK_SECONDS: Final = 1.0
_NOT_FOUND: Final = 404
_THROTTLED: Final = 429
_REFUSALS: Final = range(400, 500)
_SEGMENT_ID: Final = re.compile(r"[A-Za-z0-9]{5}|c360[A-Za-z0-9]{15}", re.ASCII)
_DELIMITERS: Final = ",;\t|"
_FIELDS: Final = frozenset(map(camel_case, {**USERS["properties"], **ACCOUNTS["properties"]}))
_OTHER_PLACES: Final = frozenset({"geo", "geoLocation", "geographicPoint", "longlat", "latitude", "longitude", "city"})
_OTHER_SEGMENTS: Final = frozenset({"segmentMemberships", "segmentIds", "segmentNames", "memberships"})


def _ask(client: PersonalizationClient, settings: Mapping[str, Any], observer: Observer) -> None:
    """Ask for a few users, pages past the end, and what does not exist."""
    check = _Check(client, settings["dataset_ids"][0], observer)
    check.users()
    check.csv()
    check.refusals()
    check.accounts()
    for number, dataset in enumerate(settings["dataset_ids"][1:], start=2):
        check.further_dataset(number, dataset)
    if observer.may_export:
        check.page_cap(settings["page_size"])


class _Check:
    """The requests to one dataset."""

    def __init__(self, client: PersonalizationClient, dataset: str, observer: Observer) -> None:
        self._client = client
        self._dataset = dataset
        self._observer = observer

    def _record(self, name: str, *, holds: bool | None) -> None:
        self._observer.record(f"personalization.{name}", holds=holds)

    def _get(self, file: str, what: str, *, dataset: str = "", **params: Any) -> Observation:  # noqa: ANN401 -- query parameters
        call = ApiRequest(
            "GET",
            self._client.url(dataset or self._dataset, file),
            what=what,
            params=params,
            headers={"Accept-Encoding": "gzip"},
            expected=ANY_STATUS,
        )
        answer = self._observer.observe(self._client.send, call)
        if answer.status == _THROTTLED:
            self._record("throttled", holds="Retry-After" in answer.headers)
        if answer.status in _REFUSALS and answer.body:
            self._record("error-text", holds=media_type(answer.headers) == "text/plain" and answer.json is None)
        return answer

    def users(self) -> None:
        """Ask for the same five users twice, with two windows, and for a page past the end."""
        now = datetime.now(UTC)
        whole, short = (_window(now, days=30), _window(now, days=1))
        page: dict[str, Any] = {"page": 0, "pageSize": _SAMPLE, "includeGeo": "true"}
        first = self._get("users.json", "five users", **page, **whole)
        self._observer.right("users of dataset 1", first)
        second = self._get("users.json", "the same users, other window", **page, **short)
        end = self._get("users.json", "users past the end", page=_PAST_END, pageSize=_SAMPLE)
        if end.is_success:
            self._record("json-end", holds=end.json == [])
        if not first.is_success:
            return
        self._record("first-byte", holds=first.seconds < _QUICK_SECONDS)
        self._record("content-types", holds=media_type(first.headers) == "application/json")
        self._record("gzip", holds=first.is_gzip)
        self._describe(first.objects())
        if second.is_success:
            self._compare(first.objects(), second.objects())

    def _describe(self, users: Sequence[dict[str, Any]]) -> None:
        if not users:
            return
        self._record("key", holds=all(isinstance(user.get("name"), str) and user["name"] for user in users))
        fields = set().union(*users)
        self._record("user-fields", holds=fields <= _FIELDS)
        self._record("email-address", holds="emailAddress" in fields)
        attributes = [user["attributes"] for user in users if user.get("attributes")]
        if attributes:
            self._record("attributes", holds=all(isinstance(each, dict) and _is_flat(each) for each in attributes))
        self._record("location", holds=_location(users, fields))
        segments = [user["segments"] for user in users if user.get("segments") is not None]
        if segments or fields & _OTHER_SEGMENTS:
            is_as_claimed = all(isinstance(each, list) and all(isinstance(s, str) for s in each) for each in segments)
            self._record("segments", holds=is_as_claimed and bool(segments))
        names = [name for each in segments if isinstance(each, list) for name in each if isinstance(name, str)]
        if names:
            self._record("segment-names", holds=not all(map(_SEGMENT_ID.fullmatch, names)))

    def _compare(self, first: Sequence[dict[str, Any]], second: Sequence[dict[str, Any]]) -> None:
        if not first:
            return
        self._record("order", holds=[user.get("name") for user in first] == [user.get("name") for user in second])
        others = {str(user.get("name")): user for user in second}
        pairs = [(user, others[str(user.get("name"))]) for user in first if str(user.get("name")) in others]
        if not pairs:
            return
        self._record("window-fields", holds=all(one.keys() == other.keys() for one, other in pairs))
        totals = [(one.get("totalActions"), other.get("totalActions")) for one, other in pairs]
        if any(one for one, _ in totals):
            self._record("total-actions", holds=all(one == other for one, other in totals))

    def csv(self) -> None:
        """Ask for two users in CSV, and for a page past the end."""
        answer = self._get("users.csv", "two users in CSV", page=0, pageSize=2)
        if answer.is_success:
            self._record("content-types", holds=media_type(answer.headers) == "text/csv")
            self._record(
                "csv-length", holds="Content-Length" in answer.headers or "Transfer-Encoding" in answer.headers
            )
            text = answer.body.decode("utf-8", "replace")
            header = text.lstrip("\ufeff\r\n").splitlines()[0] if text.strip() else ""
            delimiter = max(_DELIMITERS, key=header.count)
            if header:
                columns = next(csv.reader(io.StringIO(header), delimiter=delimiter))
                self._record("csv-key", holds="name" in columns)
                self._record("csv-dialect", holds=delimiter == "," and not text.startswith("\ufeff"))
        end = self._get("users.csv", "CSV past the end", page=_PAST_END, pageSize=2)
        if end.is_success and end.is_whole:
            self._record("csv-end", holds=len(end.body.decode("utf-8", "replace").split()) > 0)

    def refusals(self) -> None:
        """Ask for a segment and a dataset that do not exist."""
        segment = self._get("users.json", "an unknown segment", filter=_NO_SUCH, page=0, pageSize=1)
        dataset = self._get("users.json", "an unknown dataset", dataset=_NO_SUCH, page=0, pageSize=1)
        for name, answer in (("unknown-segment", segment), ("unknown-dataset", dataset)):
            if answer.is_success or answer.status in _REFUSALS:
                self._record(name, holds=answer.status == _NOT_FOUND)

    def accounts(self) -> None:
        """Ask for two accounts."""
        answer = self._get("accounts.json", "two accounts", page=0, pageSize=2)
        self._observer.right("accounts of dataset 1", answer)
        if answer.is_success or answer.status in _REFUSALS:
            self._record("accounts", holds=answer.is_success and isinstance(answer.json, list))

    def further_dataset(self, number: int, dataset: str) -> None:
        """Ask another dataset for a page past its end, which tells of the right to read it."""
        answer = self._get("users.json", "no users of a further dataset", dataset=dataset, page=_PAST_END, pageSize=1)
        self._observer.right(f"users of dataset {number}", answer)

    def page_cap(self, page_size: int) -> None:
        """Ask for a page of full size; if it is short, the next one must be empty."""
        size = page_size or 1000
        page = self._get("users.json", "a page of full size", page=0, pageSize=size)
        if not page.objects():
            return
        self._observer.exports += 1
        is_full = len(page.objects()) >= size
        is_last = is_full or not self._get("users.json", "the page behind it", page=1, pageSize=size).objects()
        self._record("page-cap", holds=is_last)


def _window(now: datetime, *, days: int) -> dict[str, Any]:
    return {"start": epoch_milliseconds(now - timedelta(days=days)), "end": epoch_milliseconds(now)}


def _is_flat(attributes: Mapping[str, Any]) -> bool:
    return not any(isinstance(value, dict) and "value" in value for value in attributes.values())


def _location(users: Sequence[dict[str, Any]], fields: set[str]) -> bool | None:
    """Return whether the location is where the claim has it; None if no user has any."""
    if "location" in fields:
        return all(isinstance(user["location"], dict) for user in users if user.get("location") is not None)
    return False if fields & _OTHER_PLACES else None


CHECK: Final = VendorCheck(
    unknowns=UNKNOWNS,
    names=_FIELDS | _OTHER_PLACES | _OTHER_SEGMENTS | {"accountStatus", "timeZone", "countryCode", "deviceProvided"},
    requests=(
        "7 requests to the first dataset, for at most 14 users and accounts: these count against the contract",
        "1 request for no users to each further dataset, and 1 to a dataset that does not exist",
    ),
    export_requests=("2 pages of page_size users",),
    ask=_ask,
)
