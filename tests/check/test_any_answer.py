"""Whatever a vendor answers, the check comes to its end, and every fact has an outcome."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests import Response
from requests.structures import CaseInsensitiveDict

from tap_cdp_export.check.observer import Observer
from tap_cdp_export.check.report import VendorResult, report, table
from tap_cdp_export.http.client import HttpClient
from tap_cdp_export.tap import VENDORS
from tests.helpers.configurations import BRAZE_URL
from tests.helpers.in_process import completed

if TYPE_CHECKING:
    from tap_cdp_export.http.client import ApiRequest
    from tap_cdp_export.vendors.vendor import Vendor

SIMPLE = st.sampled_from([None, True, 0, 7, -1.5, float("nan"), "", "Anna", "9820544", "2024-03-01T00:00:00Z"])
ANY: st.SearchStrategy[Any] = (
    SIMPLE | st.lists(SIMPLE, max_size=2) | st.dictionaries(st.sampled_from(["id", "value", "$time"]), SIMPLE)
)
ANY |= st.lists(ANY, max_size=2)

SIMPLE_NAMES = st.sampled_from(
    ["id", "deprecated_at", "sessions", "in_control", "createdAt", "sourceEventTime", "typeId"]
)


OBJECTS = st.lists(st.dictionaries(SIMPLE_NAMES, SIMPLE), max_size=2)


def with_any(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that have these names, each with any value."""
    return st.fixed_dictionaries(dict.fromkeys(names, SIMPLE | OBJECTS | ANY))


USERS = with_any(
    *("name", "segments", "attributes", "location", "totalActions", "apps", "canvases_received", "custom_attributes"),
    *("last_coordinates", "uninstalled_at", "created_from", "Anna"),
)
ITEMS = with_any("id", "discriminator", "name", "versions", "type", "data_type", "status")
SECTIONS = st.fixed_dictionaries({"1187": with_any("attributes", "events", "topics"), "1188": ANY})
PROFILES = st.fixed_dictionaries({"a": st.fixed_dictionaries({"sections": SECTIONS}), "b": ANY})
LISTS = st.lists(ITEMS, max_size=2) | ANY
PAGES = st.builds(
    lambda items: dict.fromkeys(("items", "segments", "campaigns", "products", "attributes", "next", "links"), items),
    LISTS,
)
STATUSES = st.sampled_from([200, 200, 200, 200, 201, 400, 403, 404, 429, 500])
CHANGES: dict[str, dict[str, Any]] = {
    "apsis": {"requests_per_minute": 10**9},
    "braze": {"custom_attributes_to_export": ["Anna"]},
    "personalization": {"dataset_ids": ["engage", "other"]},
}
ACCEPTED = {"access_token": "x", "message": "success", "file_download_url": "/x", "url": f"{BRAZE_URL}/x.zip"}


def archive(users: list[Any]) -> bytes:
    """A zip with a line for each user."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("a.txt", "\n".join(map(json.dumps, users)))
    return file.getvalue()


def body(data: st.DataObject, call: ApiRequest) -> bytes:
    """Any body for a request, of a form that the check looks into."""
    if call.method == "POST":
        return json.dumps(ACCEPTED).encode()
    if call.what == "the archive":
        return archive(data.draw(st.lists(USERS | ANY, min_size=1, max_size=3)))
    if call.what == "the state of the export":
        return json.dumps(data.draw(st.fixed_dictionaries({"profiles": PROFILES | ANY}) | ANY)).encode()
    return json.dumps(data.draw(PAGES | st.lists(USERS, max_size=3) | ANY)).encode()


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_check_comes_to_its_end(vendor: Vendor, data: st.DataObject) -> None:
    def send(_client: HttpClient, call: ApiRequest, consume: Any, **_deadline: float) -> Any:
        response = Response()
        is_export = call.method == "POST" or call.what in {"the archive", "the state of the export"}
        response.status_code = 200 if is_export else data.draw(STATUSES)
        response.headers = CaseInsensitiveDict({"Content-Type": "application/json"})
        return consume(response, iter([body(data, call)]))

    config = {**completed(vendor.name, **CHANGES[vendor.name]), "export_timeout_seconds": 0}  # one poll
    observer = Observer(vendor.check.unknowns, vendor.check.names, may_export=True)
    with patch.object(HttpClient, "send", send):
        vendor.check.ask(vendor.connect(config, deadline_seconds=1), config, observer)
    result = VendorResult(vendor.name, vendor.check, observer, observer.has_answer)
    assert json.dumps(report([result]))
    assert list(table([result]))
