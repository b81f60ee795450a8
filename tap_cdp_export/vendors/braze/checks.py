"""What the check asks Braze, and what the answers say about the unknown facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tap_cdp_export.check.observer import ANY_STATUS
from tap_cdp_export.check.shapes import media_type
from tap_cdp_export.check.vendor_check import VendorCheck
from tap_cdp_export.http.client import ApiRequest
from tap_cdp_export.redaction import REDACTOR
from tap_cdp_export.vendors.braze.check_archive import check_archive
from tap_cdp_export.vendors.braze.check_tables import TABLE_NAMES, check_tables
from tap_cdp_export.vendors.braze.download import Downloads
from tap_cdp_export.vendors.braze.schemas import USERS
from tap_cdp_export.vendors.braze.segments import GLOBAL_CONTROL_GROUP
from tap_cdp_export.vendors.braze.unknowns import UNKNOWNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_cdp_export.check.observer import Observation, Observer
    from tap_cdp_export.vendors.braze.api import BrazeApi

_EXPORT: Final = "/users/export/segment"
_ASKED: Final = frozenset({"/campaigns/list", "/purchases/product_list", "/custom_attributes"})
_FIELDS: Final = (
    "braze_id", "apps", "canvases_received", "created_from", "custom_attributes", "last_coordinates", "uninstalled_at",
)  # fmt: skip
_NO_SUCH_FIELD: Final = "tap_cdp_export_check"
_PAGE: Final = 100
_BAD_REQUEST: Final = 400
_THROTTLED: Final = 429
_FORBIDDEN: Final = 403
_PENDING: Final = frozenset({403, 404})
_DEADLINE_SECONDS: Final = 60.0
_DATA_TYPES: Final = frozenset(
    {"String", "Number", "Boolean", "Date/Time", "Date (Automatically Detected)", "Array", "Object"}
)
_STATES: Final = frozenset({"Active", "Blocklisted", "Deleted"})
_NESTED: Final = """
alias_label alias_name api_campaign_id api_canvas_id api_canvas_step_id archived array_length attributes campaigns
converted count custom_attributes data_type device_id engaged first first_used id in_control is_api_campaign
is_in_control last last_edited last_entered last_entered_control_at last_exited last_received last_received_message
last_used message multiple_converted name notifications_enabled object_prefix os platform products
provisionally_opted_in segments sessions status steps_received tag_names tags token url variation_api_id variation_name
version analytics_tracking_enabled description errors
"""


def _ask(api: BrazeApi, settings: Mapping[str, Any], observer: Observer) -> None:
    """Ask for lists, for an export without a segment, and if that is allowed for one export."""
    check = _Check(api, observer)
    segments = check.segments()
    check.refusal()
    campaigns = check.campaigns()
    check.products()
    check.custom_attributes()
    check.tables(campaigns, segments)
    if observer.may_export:
        named = [each for each in settings.get("segment_ids", ()) if not {"*", "?"} & set(each)]
        own = [each for each in named if each != GLOBAL_CONTROL_GROUP]
        listed = [each["id"] for each in segments if isinstance(each.get("id"), str)]
        if segment := next(iter(own or listed), None):
            check.export(segment, settings)


class _Check:
    """The requests to one instance."""

    def __init__(self, api: BrazeApi, observer: Observer) -> None:
        self._api = api
        self._observer = observer

    def _record(self, name: str, *, holds: bool | None) -> None:
        self._observer.record(f"braze.{name}", holds=holds)

    def _get(self, path: str, what: str, *, right: str, **params: Any) -> Observation:  # noqa: ANN401 -- query parameters
        call = ApiRequest("GET", f"{self._api.base_url}{path}", what=what, params=params, expected=ANY_STATUS)
        answer = self._observer.observe(self._api.send, call)
        self._observer.right(right, answer)
        return answer

    def _post(self, what: str, body: Mapping[str, Any]) -> Observation:
        call = ApiRequest("POST", f"{self._api.base_url}{_EXPORT}", what=what, json=body, expected=ANY_STATUS)
        answer = self._observer.observe(self._api.send, call)
        self._observer.right("users.export.segment (braze_users)", answer)
        if answer.status == _THROTTLED and answer.headers.get("X-RateLimit-Remaining", "").strip() != "0":
            self._record("busy-text", holds=b"already in progress" in answer.body)
        return answer

    def segments(self) -> list[dict[str, Any]]:
        """List the first segments, which any key may try."""
        return self._get(
            "/segments/list",
            "the list of segments",
            right="segments.list (braze_segments, names in segment_ids)",
            page=0,
        ).objects("segments")

    def refusal(self) -> None:
        """Ask for an export without saying of what, which cannot start one and needs the right to export."""
        answer = self._post("an export without a segment", {"fields_to_export": ["braze_id"]})
        if answer.status in range(400, 500) and answer.status not in {401, 403, _THROTTLED}:
            is_documented = answer.status == _BAD_REQUEST and isinstance(answer.object.get("message"), str)
            self._record("refusal", holds=is_documented)

    def campaigns(self) -> list[dict[str, Any]]:
        """List the first two pages of campaigns; return those of the first."""
        pages = [
            self._get(
                "/campaigns/list", f"page {page} of the campaigns", right="campaigns.list (braze_campaigns)", page=page
            )
            for page in (0, 1)
        ]
        if all(page.is_success for page in pages):
            first, second = (page.objects("campaigns") for page in pages)
            if first and len(first) < _PAGE:
                self._record("list-end", holds=not second)
        return pages[0].objects("campaigns")

    def products(self) -> None:
        """List pages 0 and 1 of the products."""
        pages = [
            self._get(
                "/purchases/product_list",
                f"page {page} of products",
                right="purchases.product_list (braze_products)",
                page=page,
            )
            for page in (0, 1)
        ]
        first, second = (page.object.get("products") for page in pages)
        if not pages[1].is_success or not isinstance(second, list):
            return
        is_list = pages[0].is_success and isinstance(first, list)
        if is_list and (first or second):
            self._record("product-pages", holds=bool(first) and first != second)
        elif pages[0].status == _BAD_REQUEST:
            self._record("product-pages", holds=False)
        longest = max(len(page) for page in (first, second) if isinstance(page, list))
        if longest:
            self._record("product-page-size", holds=longest <= _PAGE)

    def custom_attributes(self) -> None:
        """List the first custom attributes, for the types and states that occur."""
        attributes = self._get(
            "/custom_attributes",
            "custom attributes",
            right="custom_attributes.get (braze_custom_attributes, typed columns)",
        ).objects("attributes")
        types = {str(each["data_type"]) for each in attributes if each.get("data_type")}
        states = {str(each["status"]) for each in attributes if each.get("status")}
        self._record("data-types", holds=types <= _DATA_TYPES if types else None)
        self._record("attribute-status", holds=states <= _STATES if states else None)

    def tables(self, campaigns: Sequence[Mapping[str, Any]], segments: Sequence[Mapping[str, Any]]) -> None:
        """Ask the endpoint of each table that was not asked yet.

        Args:
            campaigns: the first ones.
            segments: the first ones.
        """
        tracked = [each for each in segments if each.get("analytics_tracking_enabled") is True]
        lists = {"campaign_id": campaigns, "segment_id": tracked or segments}
        known = {name: items[0]["id"] for name, items in lists.items() if items and "id" in items[0]}
        check_tables(self._get, known, _ASKED, self._record)

    def export(self, segment: str, settings: Mapping[str, Any]) -> None:
        """Export one segment, with an unknown field among the others; without it, if that is refused.

        Args:
            segment: its ID.
            settings: `braze`.
        """
        chosen = settings.get("custom_attributes_to_export")
        fields = [name for name in _FIELDS if not (chosen and name == "custom_attributes")]
        body: dict[str, Any] = {"segment_id": segment, "fields_to_export": fields, "output_format": "gzip"}
        if chosen:
            body["custom_attributes_to_export"] = chosen
        with_unknown = {**body, "fields_to_export": [*fields, _NO_SUCH_FIELD]}
        answer = self._post("an export with an unknown field", with_unknown)
        if answer.is_success:
            self._record("unknown-fields", holds=True)
        elif answer.status == _BAD_REQUEST:
            answer = self._post("an export", body)
            self._record("unknown-fields", holds=False if answer.is_success else None)
        if not answer.is_success:
            return
        self._observer.exports += 1
        url = answer.object.get("url")
        downloads = Downloads(self._api, deadline_seconds=_DEADLINE_SECONDS)
        if isinstance(url, str) and downloads.accepts(url):
            REDACTOR.add_secret_url(url)
            self._download(downloads, url, settings)

    def _download(self, downloads: Downloads, url: str, settings: Mapping[str, Any]) -> None:
        self._record("presigned", holds=not urlsplit(url).query)
        call = ApiRequest("GET", url, what="the archive", expected=ANY_STATUS)
        answers = self._observer.poll(
            lambda: self._observer.observe(downloads.send, call, shows_body=False),
            lambda answer: answer.status in _PENDING,
            settings,
        )
        for answer in answers:
            if answer.status in _PENDING:
                self._record("not-ready", holds=answer.status == _FORBIDDEN)
                is_xml = media_type(answer.headers).endswith("/xml") and b"<Code>" in answer.body
                self._record("storage-error", holds=is_xml)
        last = answers[-1]
        if last.is_success and last.is_whole:
            users = check_archive(last, settings.get("custom_attributes_to_export", ()), self._record)
            self._observer.describe(users)


CHECK: Final = VendorCheck(
    unknowns=UNKNOWNS,
    names=TABLE_NAMES | {*USERS["properties"], *_NESTED.split()},
    requests=(
        "6 lists: segments, campaigns, products, custom attributes",
        "20 lists, details and days of figures, one for each further permission of the tables around the users",
        "1 export without a segment, which is refused and tells whether the key may export",
    ),
    export_requests=(
        "1 export, of the first segment in segment_ids or else the first one listed",
        "the same once more without an unknown field, if the vendor refuses that",
    ),
    ask=_ask,
)
