"""Users and accounts of Personalization, and their order in an export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tap_cdp_export.sandbox.names import INDUSTRIES
from tap_cdp_export.sandbox.people import ALSO_PRIVATE, BLOCK, BUSINESS, DAY, company_name
from tap_cdp_export.sandbox.shop import PRODUCTS
from tap_cdp_export.sandbox.shopping import Customer, spent_cents

if TYPE_CHECKING:
    from collections.abc import Iterator

# Each dataset is a set of positions in every block of 25 people, so that its nth user can be computed.
SHOP, SHOP_BUSINESS = "engage", "engage-b2b"
DATASETS = {
    SHOP: frozenset(range(BLOCK)) - BUSINESS | {ALSO_PRIVATE},
    SHOP_BUSINESS: BUSINESS,
}


class Segment(NamedTuple):
    """A segment: its ID (case-sensitive), name, member positions in every block, and rule."""

    identifier: str
    name: str
    places: frozenset[int]
    rule: str


SEGMENTS = (
    Segment("1PPOO", "Frequent buyers", frozenset(range(0, BLOCK, 2)), 'Purchases "at least 3" in the last 90 days'),
    Segment("2Hh5C", "VIP & press, Norden", frozenset({4, 7, 24}), 'Rule 1: "Attribute" is-any-of ' + "VIP or " * 20),
    Segment("c360000000000000001", "Fra Data Cloud", frozenset(range(5, 20)), "Data Cloud"),
)  # fmt: skip
SEGMENTATION = "SGM01"  # the segmentation of all segments

ATTRIBUTES = (
    "visits", "language", "newsletter", "customerSince", "lifetimeValue", "favourite", "id number", "sizes", "note",
)  # fmt: skip
_SCORE_DAYS = 30  # the statistics' window when the request names none
_FULL_SCORE = 8  # actions in the window that make a score of 1
_HIGHEST_SCORE = 1.25


class Statistics(NamedTuple):
    """Window of the engagement statistics, in epoch milliseconds; no other field depends on it."""

    start: int
    end: int

    @classmethod
    def default(cls, at: int) -> Statistics:
        """Window of a request that does not specify one."""
        return cls(at - _SCORE_DAYS * DAY, at)


def nth_member(places: frozenset[int], position: int) -> int:
    """Number of the nth_member person at these positions of every block."""
    block, remainder = divmod(position, len(places))
    return block * BLOCK + sorted(places)[remainder]


def member_count(places: frozenset[int], people: int) -> int:
    """Number of people at these positions among the first `people`."""
    blocks, remainder = divmod(people, BLOCK)
    return blocks * len(places) + sum(place < remainder for place in places)


def listing(members: int, repeat_every: int, start: int, stop: int) -> Iterator[tuple[int, bool]]:
    """Yield the positions of an export's members in order, each with a flag for an outdated version.

    An export can repeat a user that changes meanwhile; the last record of a user is the current one.
    """
    if not repeat_every:
        yield from ((position, False) for position in range(start, min(stop, members)))
        return
    for entry in range(start, min(stop, members + members // repeat_every)):
        block, index = divmod(entry, repeat_every + 1)
        repeated = (block * 13 + 5) % repeat_every
        if index == repeat_every:
            yield block * repeat_every + repeated, False
        else:
            whole = (block + 1) * repeat_every <= members
            yield block * repeat_every + index, whole and index == repeated


def entries(members: int, repeat_every: int) -> int:
    """How many records an export of so many members has."""
    return members + (members // repeat_every if repeat_every else 0)


class Style(NamedTuple):
    """How the users are written."""

    include_geo: bool = False
    segment: Segment | None = None
    exponents: bool = True
    unknown_fields: bool = True
    attribute_list: bool = True


def user(
    customer: Customer, dataset: str, window: Statistics, style: Style, *, outdated: bool = False
) -> dict[str, Any]:
    """One user of an export, in its current or an outdated version."""
    person, activities = customer.person, customer.activities
    name = person.visitor_id if person.anonymous else person.email
    actions = customer.actions_between(*window)
    before = customer.actions_between(2 * window.start - window.end, window.start)
    score = _score(actions)
    record: dict[str, Any] = {
        "name": name,
        "engagementScore": score,
        "engagementPercentChange": _number(score - _score(before), person.key, exponents=style.exponents),
        "firstActivity": person.joined,
        "lastActivity": customer.last_activity,
        "totalActions": max(0, len(activities) - outdated),
        "attributes": _attributes(customer, style),
    }
    if not person.anonymous:
        record["displayName"] = f"{person.first_name} {person.last_name}"
        record["emailAddress"] = person.email
    elif person.number % 2:
        record["displayName"] = None
    if dataset == SHOP_BUSINESS and person.company is not None:
        record["accountName"] = company_name(person.company)
    place = person.number % BLOCK
    memberships = [segment.name for segment in SEGMENTS if place in segment.places]
    if outdated:
        memberships = memberships[1:]
    record["segments"] = memberships or None
    if style.segment:
        record["segmentJoined"] = person.joined + DAY
        record["segmentInputValues"] = {style.segment.rule: str(len(activities))}
    if style.include_geo:
        record["location"] = _location(customer)
    if style.unknown_fields and person.anonymous:
        record["anonymous"] = True
    return record


def _score(actions: int) -> float | int:
    """Engagement score, which may exceed 1; whole numbers are integers."""
    score = min(_HIGHEST_SCORE, actions / _FULL_SCORE)
    return int(score) if score == int(score) else round(score, 3)


def _number(value: float, key: int, *, exponents: bool) -> float | msgspec.Raw:
    """Round a number; some zeros become small numbers, in Java's notation (2.0E-4) if `exponents` is set."""
    if value == 0 and key % 8 == 0:
        small = 1 + key % 9
        return msgspec.Raw(b"%d.0E-4" % small) if exponents else small / 10_000
    return round(float(value), 3)


def _attributes(customer: Customer, style: Style) -> Any:  # noqa: ANN401 - an object, or a list on some tenants' profiles
    """Custom attributes of all JSON types; empty for most anonymous users."""
    person, key = customer.person, customer.person.key
    if person.anonymous and key & 1:
        return {}
    orders = customer.orders
    values: dict[str, Any] = {
        "visits": len(customer.activities),
        "language": person.country.language,
        "newsletter": customer.unsubscribed is None and not person.anonymous,
        "customerSince": f"20{20 + key % 7}-0{1 + key % 9}-1{key % 10}",
        "lifetimeValue": spent_cents(orders) / 100 if orders else None,
        "favourite": PRODUCTS[key % len(PRODUCTS)].name,
        "id number": f"{key % 100_000:05d}",
    }
    if key % 5 == 0:
        values["sizes"] = {"shoe": 36 + key % 11, "jacket": ["S", "M", "L"]}
    if key % 7 == 0:
        values["note"] = 'Ringde, "vill byta",\nåterkommer; 3 st'
    if style.attribute_list and person.number % (2 * BLOCK) == 1:
        return [{"name": name, "value": value, "updated": customer.last_activity} for name, value in values.items()]
    return values


def _location(customer: Customer) -> dict[str, Any]:
    person = customer.person
    city, postal_code, longitude, latitude = person.city
    return {
        "deviceProvided": person.key % 3 == 0,
        "longlat": [longitude, latitude],
        "timeZone": person.country.time_zone,
        "city": city,
        "stateProvince": None,
        "countryCode": person.country.code,
        "postalCode": postal_code,
    }


def account(number: int, opened: int, at: int, window: Statistics, *, outdated: bool = False) -> dict[str, Any]:
    """One account of an export; its times are whole UTC days, its status is a top-level custom attribute."""
    random_bits = number * 2_654_435_761 % 2**32
    days = (at - opened) // DAY
    interval_days = 2 + random_bits % 9
    last_day = opened // DAY + days // interval_days * interval_days
    in_window = max(0, (window.end - max(window.start, opened)) // DAY // interval_days)
    record: dict[str, Any] = {
        "name": company_name(number),
        "engagementScore": _score(in_window),
        "engagementPercentChange": round((random_bits % 800 - 400) / 1000, 3),
        "firstActivity": opened // DAY * DAY,
        "lastActivity": last_day * DAY,
        "totalActions": max(0, 5 * days // interval_days - outdated),
        "accountStatus": ("active", "prospect", "på vent")[random_bits % 3],
    }
    if random_bits % 4 == 0:
        record["industry"] = INDUSTRIES[random_bits % len(INDUSTRIES)]
    return record
