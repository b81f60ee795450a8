"""Histories of a Braze user: entries of the last 90 days; `first` and `count` are of all time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_cdp_export.sandbox import shopping
from tap_cdp_export.sandbox.braze.identifiers import (
    CANVAS,
    CANVAS_STEP,
    CANVAS_STEP_NAME,
    CONTROL,
    EVENT_NAMES,
    VARIANT,
    campaign_id,
    control_id,
    is_in_control,
    variation_id,
)
from tap_cdp_export.sandbox.clock import DAY, rfc3339
from tap_cdp_export.sandbox.shop import CAMPAIGNS, WELCOME, order_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_cdp_export.sandbox.people import Person
    from tap_cdp_export.sandbox.shopping import Activity, Customer

_HISTORY = 90 * DAY  # older entries are left out
_MAIL_KINDS = (shopping.MAIL, shopping.OPEN, shopping.CLICK)


def _tally(named_activities: Iterable[tuple[str | None, Activity]], at: int) -> list[dict[str, Any]]:
    """Summarize activities by name: first, last and count; only names with an activity in the last 90 days."""
    entries: dict[str | None, dict[str, Any]] = {}
    for name, activity in named_activities:
        entry = entries.setdefault(name, {"name": name, "first": activity.at, "last": activity.at, "count": 0})
        entry["last"] = activity.at
        entry["count"] += 1
    recent = [entry for entry in entries.values() if entry["last"] > at - _HISTORY]
    for entry in recent:
        entry["first"], entry["last"] = rfc3339(entry["first"]), rfc3339(entry["last"])
    return recent


def _custom_events(customer: Customer) -> list[dict[str, Any]]:
    named_activities = (
        (EVENT_NAMES[activity.kind], activity) for activity in customer.activities if activity.kind in EVENT_NAMES
    )
    return _tally(named_activities, customer.at)


def _purchases(customer: Customer) -> list[dict[str, Any]]:
    return _tally(
        (
            (line.product.sku if order.random_bits % 61 else None, order)
            for order in customer.orders
            for line in order_lines(order.subject, order.random_bits)
        ),
        customer.at,
    )


def _campaigns(customer: Customer) -> list[dict[str, Any]]:
    entries: dict[int, dict[str, Any]] = {}
    for activity in customer.activities:
        if (
            activity.kind not in _MAIL_KINDS
            or activity.subject == shopping.WELCOME_MAIL
            or activity.at <= customer.at - _HISTORY
        ):
            continue
        campaign = CAMPAIGNS[activity.subject]
        entry = entries.setdefault(
            activity.subject,
            {
                "name": campaign.name,
                "api_campaign_id": campaign_id(campaign),
                "last_received": rfc3339(activity.at),
                "in_control": False,
                "variation_name": VARIANT,
                "variation_api_id": variation_id(campaign),
            },
        )
        if activity.kind == shopping.MAIL:
            entry["last_received"] = rfc3339(activity.at)
        else:
            engaged = entry.setdefault("engaged", {})
            engaged["opened_email" if activity.kind == shopping.OPEN else "clicked_email"] = True
            entry["converted"] = activity.kind == shopping.CLICK
            entry["multiple_converted"] = {"Primary Conversion Event - A": entry["converted"]}
    return list(entries.values())


def _canvases(customer: Customer) -> list[dict[str, Any]]:
    welcome = next((activity for activity in customer.activities if activity.subject == shopping.WELCOME_MAIL), None)
    if welcome is None or welcome.at <= customer.at - _HISTORY:
        return []
    control = is_in_control(customer.person)
    step = {
        "name": CANVAS_STEP_NAME,
        "api_canvas_step_id": CANVAS_STEP,
        "last_received": rfc3339(welcome.at),
    }
    return [
        {
            "name": WELCOME.name,
            "api_canvas_id": CANVAS,
            "last_received_message": None if control else rfc3339(welcome.at),
            "last_entered": rfc3339(customer.person.joined).replace("Z", "+00:00"),
            "variation_name": CONTROL if control else VARIANT,
            "in_control": control,
            "last_entered_control_at": rfc3339(customer.person.joined) if control else None,
            "last_exited": rfc3339(welcome.at),
            "steps_received": [] if control else [step],
        }
    ]


def _cards(customer: Customer) -> list[dict[str, Any]]:
    return [{"name": "Klubben: “Bli med!”"}] if customer.person.key % 4 == 0 else []


def with_controls(entries: list[dict[str, Any]], person: Person) -> list[dict[str, Any]]:
    """Entries of `campaigns_received` where campaigns have control groups, whose members get no mail."""
    if not is_in_control(person):
        return entries
    return [
        {
            **{name: entry[name] for name in ("name", "api_campaign_id", "last_received")},
            "in_control": True,
            "variation_name": CONTROL,
            "variation_api_id": control_id(entry["variation_api_id"]),
        }
        for entry in entries
    ]


HISTORIES = {
    "custom_events": _custom_events,
    "purchases": _purchases,
    "campaigns_received": _campaigns,
    "canvases_received": _canvases,
    "cards_clicked": _cards,
}
