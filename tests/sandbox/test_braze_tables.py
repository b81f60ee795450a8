"""The lists and series of Braze: as strict as the facts, and figures that add up to what users did."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.sandbox.braze.export_users import BUYERS, KNOWN
from tap_cdp_export.sandbox.braze.identifiers import ANDROID, APPS, CANVAS
from tap_cdp_export.sandbox.clock import milliseconds
from tap_cdp_export.sandbox.options import PERMISSIONS
from tests.sandbox.clients import NOW, Client

if TYPE_CHECKING:
    import requests

    from tap_cdp_export.sandbox.server import Sandbox

CAMPAIGN = "d72fdc84-ddda-44f1-a0d5-000000001004"
SINGLE: dict[str, dict[str, str]] = {
    "/campaigns/details": {"campaign_id": CAMPAIGN},
    "/canvas/details": {"canvas_id": CANVAS},
    "/segments/details": {"segment_id": KNOWN.identifier},
    "/campaigns/data_series": {"campaign_id": CAMPAIGN, "length": "100"},
    "/canvas/data_series": {"canvas_id": CANVAS, "length": "14", "ending_at": NOW},
    "/segments/data_series": {"segment_id": KNOWN.identifier, "length": "7"},
    "/events/data_series": {"event": "Viewed product", "length": "7"},
    "/kpi/new_users/data_series": {"length": "7"},
    "/kpi/dau/data_series": {"length": "7"},
    "/kpi/mau/data_series": {"length": "7"},
    "/kpi/uninstalls/data_series": {"length": "7"},
    "/sessions/data_series": {"length": "7"},
    "/purchases/revenue_series": {"length": "7"},
    "/purchases/quantity_series": {"length": "7"},
    "/email/hard_bounces": {"start_date": "2024-12-01", "end_date": "2026-06-16"},
    "/email/unsubscribes": {"start_date": "2024-12-01", "end_date": "2026-06-16"},
    "/sms/invalid_phone_numbers": {"start_date": "2024-12-01", "end_date": "2026-06-16"},
}
LISTS: dict[str, dict[str, str]] = {
    path: {}
    for path in (
        "/campaigns/list", "/canvas/list", "/segments/list", "/custom_attributes", "/events", "/events/list",
        "/purchases/product_list",
    )
}  # fmt: skip
ALL = {**LISTS, **SINGLE}
UNLIKE_PATH = {
    "/custom_attributes": "custom_attributes.get",
    "/events": "events.get",
    "/email/unsubscribes": "email.unsubscribe",
}
"""Permissions that are not named as their path is."""


def get(client: Client, path: str, **params: str) -> requests.Response:
    key = client.settings["braze"]["api_key"]
    return client.get(path, params=params, headers={"authorization": f"Bearer {key}"})


def series(client: Client, path: str, **params: str) -> list[dict[str, Any]]:
    """Read all days since the shop was opened."""
    ends = ("2025-02-20", "2025-05-31", "2025-09-08", "2025-12-17", "2026-03-27")
    rows: dict[str, dict[str, Any]] = {}
    for ending_at in (*(f"{end}T12:00:00Z" for end in ends), NOW):
        found = get(client, path, **params, length="100", ending_at=ending_at).json()["data"]
        rows |= {row["time"]: row for row in found}
    return list(rows.values())


@pytest.mark.parametrize("path", ALL)
def test_each_endpoint_has_a_permission_of_its_own(sandbox: Sandbox, client: Client, path: str) -> None:
    assert get(client, path, **ALL[path]).status_code == 200
    refusing = []
    for permission in PERMISSIONS:
        sandbox.options.braze.permissions = [one for one in PERMISSIONS if one != permission]
        if get(client, path, **ALL[path]).status_code == 403:
            refusing.append(permission)
    assert refusing == [UNLIKE_PATH.get(path, path[1:].replace("/", "."))]


@pytest.mark.parametrize("path", ALL)
def test_an_unknown_parameter_is_refused(client: Client, path: str) -> None:
    assert get(client, path, **ALL[path], emial="x").status_code == 400


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("/campaigns/data_series", {"length": "101"}),
        ("/campaigns/data_series", {"length": "0"}),
        ("/campaigns/data_series", {"ending_at": "soon"}),
        ("/campaigns/data_series", {"campaign_id": "x"}),
        ("/canvas/data_series", {"length": "15"}),
        ("/segments/data_series", {"segment_id": "5e6f7a8b-0000-4000-8000-000000000001"}),
        ("/events/data_series", {"event": "x"}),
        ("/sessions/data_series", {"app_id": "x"}),
        ("/sessions/data_series", {"unit": "hour"}),
        ("/email/hard_bounces", {"limit": "501"}),
        ("/email/hard_bounces", {"start_date": "2026-06-16"}),
        ("/campaigns/list", {"page": "-1"}),
        ("/custom_attributes", {"cursor": "2"}),
    ],
)
def test_what_is_outside_the_documented_limits_is_refused(client: Client, path: str, changes: dict[str, str]) -> None:
    answer = get(client, path, **{**ALL[path], **changes})
    assert answer.status_code == 400
    assert answer.json()["message"]


def test_archived_campaigns_are_listed_on_request_and_pages_hold_a_hundred(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.braze.more_campaigns = 200
    without = get(client, "/campaigns/list").json()["campaigns"]
    first = get(client, "/campaigns/list", include_archived="true").json()["campaigns"]
    assert len(without) == len(first) == 100
    archived = {one["name"] for one in first} - {one["name"] for one in without}
    assert archived == {"Autumn packing list"}
    pages = [
        get(client, "/campaigns/list", include_archived="true", page=str(n)).json()["campaigns"] for n in (1, 2, 3)
    ]
    assert [len(page) for page in pages] == [100, 6, 0]


def test_definitions_have_pages_of_fifty_by_cursor(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.braze.more_definitions = 60
    first = get(client, "/custom_attributes")
    assert len(first.json()["attributes"]) == 50
    link = first.links["next"]["url"]
    assert link.startswith("/custom_attributes?cursor=")
    headers = {"authorization": f"Bearer {client.settings['braze']['api_key']}"}
    second = client.get(link, headers=headers)
    assert len(second.json()["attributes"]) == 21
    assert not second.links


def test_the_lists_of_names_have_a_limit_of_their_own(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.braze.name_requests_per_hour = 2
    answers = [get(client, path) for path in ("/events", "/events/list", "/custom_attributes", "/campaigns/list")]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 200]
    assert answers[1].headers["X-RateLimit-Remaining"] == "0"
    assert answers[3].headers["X-RateLimit-Limit"] == "250000"


def test_what_is_gone_is_neither_listed_nor_answered(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.braze.gone = [CAMPAIGN, CANVAS, KNOWN.identifier, ANDROID, "Viewed product"]
    assert all(one["id"] != CAMPAIGN for one in get(client, "/campaigns/list").json()["campaigns"])
    assert get(client, "/canvas/list").json()["canvases"] == []
    assert get(client, "/events/list").json()["events"] == ["Put into cart"]
    for path in ("/campaigns/details", "/campaigns/data_series", "/canvas/details", "/segments/data_series"):
        assert get(client, path, **ALL[path]).status_code == 400
    assert get(client, "/sessions/data_series", length="7", app_id=ANDROID).status_code == 400


def test_a_series_has_every_day_zeros_before_the_campaign_included(sandbox: Sandbox, client: Client) -> None:
    rows = get(client, "/campaigns/data_series", campaign_id=CAMPAIGN, length="100", ending_at="2025-01-10T00:00:00Z")
    days = rows.json()["data"]
    assert [days[0]["time"], days[-1]["time"], len(days)] == ["2024-10-03", "2025-01-10", 100]
    assert days[0]["messages"]["email"][0]["sent"] == 0
    sandbox.options.braze.series_end = "exclusive"
    rows = get(client, "/campaigns/data_series", campaign_id=CAMPAIGN, length="100", ending_at="2025-01-10T00:00:00Z")
    assert rows.json()["data"][-1]["time"] == "2025-01-09"


def test_days_are_those_of_the_company(sandbox: Sandbox, client: Client) -> None:
    for hours, day in ((-11, "2026-06-15"), (0, "2026-06-15"), (13, "2026-06-16")):
        sandbox.options.braze.company_offset_hours = hours
        assert get(client, "/sessions/data_series", length="3").json()["data"][-1]["time"] == day


def test_figures_add_up_to_what_users_did(sandbox: Sandbox, client: Client) -> None:
    now = milliseconds(NOW)
    users = list(sandbox.population.braze_users(KNOWN.identifier, now))
    customers = list(sandbox.population.customers(now))
    revenue = sum(row["revenue"] for row in series(client, "/purchases/revenue_series"))
    assert round(revenue, 2) == round(sum(user["total_revenue"] for user in users), 2) > 0
    assert sum(row["new_users"] for row in series(client, "/kpi/new_users/data_series")) == len(customers)
    by_app = [sum(row["sessions"] for row in series(client, "/sessions/data_series", app_id=app)) for app in APPS]
    total = sum(row["sessions"] for row in series(client, "/sessions/data_series"))
    assert sum(by_app) == total >= sum(int(app["sessions"]) for user in users for app in user.get("apps", ()))
    sizes = {
        segment.identifier: get(client, "/segments/data_series", segment_id=segment.identifier, length="1").json()
        for segment in (KNOWN, BUYERS)
    }
    assert sizes[KNOWN.identifier]["data"][0]["size"] == len(users)
    assert sizes[BUYERS.identifier]["data"][0]["size"] == len(
        list(sandbox.population.braze_users(BUYERS.identifier, now))
    )


def test_campaigns_that_users_received_exist_and_were_sent(sandbox: Sandbox, client: Client) -> None:
    users = list(sandbox.population.braze_users(KNOWN.identifier, milliseconds(NOW)))
    received = Counter(entry["api_campaign_id"] for user in users for entry in user.get("campaigns_received", ()))
    for identifier, number in received.items():
        details = get(client, "/campaigns/details", campaign_id=identifier).json()
        rows = series(client, "/campaigns/data_series", campaign_id=identifier)
        sent = [(row["time"], row["messages"]["email"][0]["sent"]) for row in rows]
        assert sum(count for _, count in sent) >= number
        days = [day for day, count in sent if count]
        assert (days[0], days[-1]) >= (details["first_sent"][:10], details["last_sent"][:10])
        variations = {
            e["variation_api_id"]
            for u in users
            for e in u.get("campaigns_received", ())
            if e["api_campaign_id"] == identifier
        }
        assert variations <= details["messages"].keys()
        clicked = sum(row["conversions"] for row in rows)
        assert clicked == sum(row["conversions_by_send_time"] for row in rows)


def test_who_is_in_a_control_group_gets_no_mail_and_is_counted_once(sandbox: Sandbox, client: Client) -> None:
    plain = series(client, "/campaigns/data_series", campaign_id=CAMPAIGN)
    assert "enrolled" not in str(plain)
    sandbox.options.braze.control_groups = True
    rows = series(client, "/campaigns/data_series", campaign_id=CAMPAIGN)
    pairs = [row["messages"]["email"] for row in rows]
    assert sum(control["enrolled"] for _, control in pairs) > 0
    for before, (sent, control) in zip(plain, pairs, strict=True):
        assert sent["sent"] + control["enrolled"] == before["messages"]["email"][0]["sent"]
        assert "sent" not in control
        assert control["conversions"] == 0
    details = get(client, "/campaigns/details", campaign_id=CAMPAIGN).json()
    assert {one["variation_api_id"] for one in pairs[0]} == details["messages"].keys()
    received = [
        entry
        for user in client.users(fields_to_export=["campaigns_received"])
        for entry in user.get("campaigns_received", ())
    ]
    for entry in received:
        assert entry["in_control"] == ("c0bd" in entry["variation_api_id"])
        assert not (entry["in_control"] and "engaged" in entry)
    assert {entry["in_control"] for entry in received} == {True, False}


def test_a_second_conversion_event_is_an_open(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.braze.conversion_events = 2
    rows = series(client, "/campaigns/data_series", campaign_id=CAMPAIGN)
    assert sum(row["conversions1"] for row in rows) == sum(row["conversions1_by_send_time"] for row in rows) > 0
    assert all(row["conversions1"] == row["messages"]["email"][0]["opens"] for row in rows)
    behaviors = get(client, "/campaigns/details", campaign_id=CAMPAIGN).json()["conversion_behaviors"]
    assert [one["type"] for one in behaviors] == ["Clicks Email", "Opens Email"]


def test_a_click_of_today_changes_the_day_of_the_send(sandbox: Sandbox, client: Client) -> None:
    query = {"campaign_id": CAMPAIGN, "length": "100", "ending_at": NOW}
    before = get(client, "/campaigns/data_series", **query).json()["data"]
    sandbox.options.population.now = "2026-06-18T12:00:00Z"
    later = {row["time"]: row for row in get(client, "/campaigns/data_series", **query).json()["data"]}
    assert all(row["conversions_by_send_time"] <= later[row["time"]]["conversions_by_send_time"] for row in before)


def test_variants_and_steps_of_a_canvas_come_on_request(client: Client) -> None:
    plain = get(client, "/canvas/data_series", **SINGLE["/canvas/data_series"]).json()["data"]["stats"]
    assert set(plain[0]) == {"time", "total_stats"}
    query = {**SINGLE["/canvas/data_series"], "include_variant_breakdown": "true", "include_step_breakdown": "true"}
    full = get(client, "/canvas/data_series", **query).json()["data"]["stats"]
    for day in full:
        assert sum(variant["entries"] for variant in day["variant_stats"].values()) == day["total_stats"]["entries"]
    steps = {
        step
        for user in client.users(fields_to_export=["canvases_received"])
        for canvas in user.get("canvases_received", ())
        for step in (one["api_canvas_step_id"] for one in canvas["steps_received"])
    }
    assert steps == full[0]["step_stats"].keys()


def test_suppressions_are_those_of_the_users_and_the_newest_come_first(sandbox: Sandbox, client: Client) -> None:
    users = sandbox.population.braze_users(KNOWN.identifier, milliseconds(NOW))
    unsubscribed = {user["email"] for user in users if user.get("email_unsubscribed_at")}
    query = SINGLE["/email/unsubscribes"]
    found = get(client, "/email/unsubscribes", **query, limit="500").json()["emails"]
    assert {one["email"] for one in found} == unsubscribed
    times = [one["unsubscribed_at"] for one in found]
    assert times == sorted(times, reverse=True)
    assert times[0].endswith(" +0000")
    ascending = get(client, "/email/unsubscribes", **query, limit="2", offset="1", sort_direction="asc").json()[
        "emails"
    ]
    assert ascending == found[::-1][1:3]
    assert get(client, "/email/hard_bounces", **query).json()["emails"]
    phones = get(client, "/sms/invalid_phone_numbers", **query).json()["sms"]
    assert {one["reason"] for one in phones} <= {"provider_error", "deactivated"}
    only = get(client, "/sms/invalid_phone_numbers", **query, reason="deactivated").json()["sms"]
    assert only == [one for one in phones if one["reason"] == "deactivated"]
