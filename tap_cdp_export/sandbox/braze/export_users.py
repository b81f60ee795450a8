"""Users of a Braze export, and segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tap_cdp_export.sandbox import shopping
from tap_cdp_export.sandbox.braze.history import HISTORIES, with_controls
from tap_cdp_export.sandbox.clock import DAY, day, rfc3339, time_of_day
from tap_cdp_export.sandbox.responses import time_in
from tap_cdp_export.sandbox.shop import CAMPAIGNS, PRODUCTS
from tap_cdp_export.sandbox.shopping import Customer, spent_cents

if TYPE_CHECKING:
    from tap_cdp_export.sandbox.people import Person


class Segment(NamedTuple):
    """A segment of the users with an e-mail address, limited by `kind` and by random buckets."""

    identifier: str
    name: str
    kind: str = "known"
    buckets: range = range(10_000)


_SLICES = 120
_SLICE_SIZE = 10_000 // _SLICES
KNOWN = Segment("0d5a7c1e-3f42-4b8a-9c60-5e1f2a3b4c5d", "Everyone with an e-mail address")
BUYERS = Segment("7b21e9d4-8a63-4f0e-b5d7-1c2d3e4f5a6b", "Everyone who ever bought", "buyers")
NOBODY = Segment("c4f8a2b6-5d17-4e93-a0c8-9f8e7d6c5b4a", "Kayak waiting list (empty)", "nobody")
SEGMENTS = {
    segment.identifier: segment
    for segment in (
        KNOWN,
        BUYERS,
        NOBODY,
        # More segments than fit on one page of the list; they split the users as Braze recommends for large workspaces.
        *(
            Segment(
                f"5e6f7a8b-0000-4000-8000-{number:012x}",
                f"Bucket {number:03d}",
                buckets=range(number * _SLICE_SIZE, (number + 1) * _SLICE_SIZE),
            )
            for number in range(_SLICES)
        ),
    )
}
DEFAULT_SEGMENTS = (KNOWN, BUYERS)

FIELDS = frozenset(
    {
        "apps", "attributed_campaign", "attributed_source", "attributed_adgroup", "attributed_ad", "braze_id",
        "campaigns_received", "canvases_received", "cards_clicked", "country", "created_at", "created_from",
        "custom_attributes", "custom_events", "devices", "dob", "email", "email_subscribe", "external_id",
        "first_name", "gender", "home_city", "language", "last_coordinates", "last_name", "phone", "purchases",
        "push_subscribe", "push_tokens", "random_bucket", "time_zone", "total_revenue", "uninstalled_at",
        "user_aliases",
    }
)  # fmt: skip
# Fields that are returned with another field, without being requested.
_ACCOMPANYING_FIELDS = {
    "push_subscribe": ("push_opted_in_at", "push_unsubscribed_at"),
    "email_subscribe": ("email_opted_in_at", "email_unsubscribed_at"),
}
_OS = ("Android (U)", "iOS (18.1)")


class Style(NamedTuple):
    """Requested fields, and variants of the format."""

    fields: frozenset[str] = FIELDS
    custom_attributes: frozenset[str] = frozenset()
    mixed_types: bool = True
    extra_field: bool = False
    times: str = "recorded"
    control_groups: bool = False


def contains(segment: Segment, customer: Customer) -> bool:
    """Return True if a customer is in a segment; members never leave it."""
    person = customer.person
    if person.anonymous or segment.kind == "nobody" or person.random_bucket not in segment.buckets:
        return False
    return segment.kind != "buyers" or any(activity.kind == shopping.ORDER for activity in customer.activities)


def user(customer: Customer, style: Style) -> dict[str, Any]:
    """Build one line of the export: the requested fields that are not empty; a few fields may be empty."""
    fields = style.fields
    values = _identity(customer)
    for name, build in HISTORIES.items():
        if name in fields:
            values[name] = build(customer)
    if style.control_groups and "campaigns_received" in fields:
        values["campaigns_received"] = with_controls(values["campaigns_received"], customer.person)
    values.update(_devices(customer, mixed_types=style.mixed_types))
    attributes = _custom_attributes(customer, mixed_types=style.mixed_types)
    if "custom_attributes" not in fields:
        attributes = {name: value for name, value in attributes.items() if name in style.custom_attributes}
        if attributes:
            fields = fields | {"custom_attributes"}
    values["custom_attributes"] = attributes
    fields = fields.union(*(names for field, names in _ACCOMPANYING_FIELDS.items() if field in fields))
    line = {
        name: value
        for name, value in values.items()
        if name in fields and (value or value == 0 or (name in _MAY_BE_EMPTY and customer.person.key % 3 == 0))
    }
    if style.times != "recorded" and "created_at" in line:
        line["created_at"] = time_in({"offset": "text"}.get(style.times, style.times), customer.person.joined)
    if style.extra_field:
        line["subscription_score"] = customer.person.key % 100
    return line


_MAY_BE_EMPTY = frozenset({"user_aliases", "home_city", "canvases_received"})


def _identity(customer: Customer) -> dict[str, Any]:
    person, key, orders = customer.person, customer.person.key, customer.orders
    city, _, longitude, latitude = person.city
    joined_at = person.joined
    alias = {"alias_name": f"user_{person.number}", "alias_label": "amplitude_id"}
    unsubscribed_at = customer.unsubscribed
    return {
        "braze_id": person.braze_id,
        "external_id": str(100_000 + person.number) if key % 11 else None,
        "user_aliases": [alias] if key % 4 == 0 else [],
        "created_at": _spaced_time(joined_at) if key & 1 else rfc3339(joined_at),
        "created_from": ("SDK", "REST API", "CSV import")[key % 3],
        "random_bucket": person.random_bucket,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "email": person.email,
        "dob": person.born if key % 3 else None,
        "home_city": city if key % 5 else None,
        "country": person.country.code,
        "language": person.country.language,
        "time_zone": person.country.time_zone,
        "phone": f"+{person.phone}" if key % 3 else f"0{person.phone % 10**9} (mobil)",
        "last_coordinates": [longitude, latitude] if key % 2 else None,
        "gender": ("F" if person.woman else "M") if key % 9 else ("O", "N", "P")[key % 3],
        "total_revenue": spent_cents(orders) / 100 if orders else 0 if key & 2 else 0.0,
        "attributed_campaign": CAMPAIGNS[key % len(CAMPAIGNS)].name if key % 6 == 0 else None,
        "attributed_source": "search" if key % 6 == 0 else None,
        "attributed_adgroup": "boots, höst" if key % 12 == 0 else None,
        "attributed_ad": "ad 7" if key % 12 == 0 else None,
        "push_subscribe": "opted_in" if key % 4 == 1 else "subscribed",
        "push_opted_in_at": rfc3339(joined_at + DAY) if key % 4 == 1 and joined_at + DAY <= customer.at else None,
        "email_subscribe": "unsubscribed" if unsubscribed_at else "opted_in" if key & 4 else "subscribed",
        "email_opted_in_at": rfc3339(joined_at) if key & 4 else None,
        "email_unsubscribed_at": rfc3339(unsubscribed_at) if unsubscribed_at else None,
        "uninstalled_at": rfc3339(unsubscribed_at) if unsubscribed_at and key & 8 else None,
    }


def _spaced_time(at: int) -> str:
    return f"{day(at)} {time_of_day(at)} UTC"


def _devices(customer: Customer, *, mixed_types: bool) -> dict[str, Any]:
    """Devices, push tokens and apps; three of four users have a phone."""
    person, key = customer.person, customer.person.key
    if key % 4 == 0:
        return {"devices": [], "push_tokens": [], "apps": []}
    is_apple = key % 3 == 0
    platform = "iOS" if is_apple else "Android"
    device: dict[str, Any] = {
        "model": "iPhone 15" if is_apple else "Pixel 8",
        "os": _OS[is_apple],
        "carrier": None,
        "device_id": person.export_key,
        "ad_tracking_enabled": bool(key & 16),
        ("idfv" if is_apple else "google_ad_id"): f"{key >> 64:016x}",
    }
    token = {
        "app": "Stigen",
        "platform": platform,
        "token": f"{key:032x}",
        "device_id": person.export_key,
        "notifications_enabled": bool(key & 32),
        "provisionally_opted_in": None,
    }
    sessions: int | str = 1 + len(customer.activities)
    app = {
        "name": "Stigen",
        "platform": platform,
        "version": f"3.{key % 30}.0",
        "sessions": str(sessions) if mixed_types and key % 5 == 0 else sessions,
        "first_used": rfc3339(person.joined),
        "last_used": rfc3339(customer.last_activity),
    }
    return {"devices": [device], "push_tokens": [token], "apps": [app]}


def _custom_attributes(customer: Customer, *, mixed_types: bool) -> dict[str, Any]:
    """Custom attributes with unusual keys, all types, and types that differ between users."""
    person, key = customer.person, customer.person.key
    points: int | str = spent_cents(customer.orders) // 100
    attributes: dict[str, Any] = {
        "loyalty points": str(points) if mixed_types and key % 3 == 0 else points,
        "loyalty-id": person.export_key,
        "newsletter": customer.unsubscribed is None,
        "42": key % 1000 / 10,
        "member since": rfc3339(person.joined),
    }
    attributes.update(_rare_attributes(person) if key % 4 == 0 else {})
    return attributes


def _rare_attributes(person: Person) -> dict[str, Any]:
    """Attributes of every fourth user, with line separators that `str.splitlines` would split at."""
    key = person.key
    return {
        "kr/år": 2**33 + key % 1000,
        "note": "Hej\u2028igen \u0085 ring ☎",
        "favourites": [PRODUCTS[key % len(PRODUCTS)].name, key % 7, True],
        "tent": {"size": "4P", "colour": {"fly": "grönt"}},
        "trips": [{"to": "Sarek", "nights": 5}, {"to": "Lofoten", "nights": key % 9, "with": None}],
        "$time.like": "2026-02-30 soon",
    }
