"""What Personalization holds about a user or an account, and the order in which an export lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tap_cdp_export.sandbox.names import INDUSTRIES
from tap_cdp_export.sandbox.people import ALSO_PRIVATE, BLOCK, BUSINESS, DAY, company_name
from tap_cdp_export.sandbox.shop import PRODUCTS
from tap_cdp_export.sandbox.shopping import Customer, spent_cents

if TYPE_CHECKING:
    from collections.abc import Iterator

# Each data set is a choice of places in every 25 people, so that its nth user is found by arithmetic.
SHOP, SHOP_BUSINESS = "engage", "engage-b2b"
DATASETS = {
    SHOP: frozenset(range(BLOCK)) - BUSINESS | {ALSO_PRIVATE},
    SHOP_BUSINESS: BUSINESS,
}


class Segment(NamedTuple):
    """A segment: its id (case-sensitive), its name, the places that are in it, and the rule behind it."""

    identifier: str
    name: str
    places: frozenset[int]
    rule: str


SEGMENTS = (
    Segment("1PPOO", "Frequent buyers", frozenset(range(0, BLOCK, 2)), 'Purchases "at least 3" in the last 90 days'),
    Segment("2Hh5C", "VIP & press, Norden", frozenset({4, 7, 24}), 'Rule 1: "Attribute" is-any-of ' + "VIP or " * 20),
    Segment("c360000000000000001", "Fra Data Cloud", frozenset(range(5, 20)), "Data Cloud"),
)  # fmt: skip
SEGMENTATION = "SGM01"  # the segmentation that holds all of them

ATTRIBUTES = (
    "visits", "language", "newsletter", "customerSince", "lifetimeValue", "favourite", "id number", "sizes", "note",
)  # fmt: skip
_SCORE_DAYS = 30  # the statistics' window when the request names none
_FULL_SCORE = 8  # actions in the window that make a score of 1
_HIGHEST_SCORE = 1.25


class Statistics(NamedTuple):
    """The window of the engagement statistics; nothing else depends on it."""

    start: int
    end: int

    @classmethod
    def default(cls, at: int) -> Statistics:
        """The window when the request names none."""
        return cls(at - _SCORE_DAYS * DAY, at)


def nth(places: frozenset[int], position: int) -> int:
    """The number of the nth person at these places of every block."""
    block, rest = divmod(position, len(places))
    return block * BLOCK + sorted(places)[rest]


def how_many(places: frozenset[int], people: int) -> int:
    """How many of the first so many people stand at these places."""
    blocks, rest = divmod(people, BLOCK)
    return blocks * len(places) + sum(place < rest for place in places)


def listing(members: int, repeat_every: int, start: int, stop: int) -> Iterator[tuple[int, bool]]:
    """Positions of an export's members in order, each with whether this is an outdated version of it.

    Exporting many users can repeat one that changes meanwhile; the record appearing last is the current one.
    """
    if not repeat_every:
        yield from ((position, False) for position in range(start, min(stop, members)))
        return
    for entry in range(start, min(stop, members + members // repeat_every)):
        block, rest = divmod(entry, repeat_every + 1)
        again = (block * 13 + 5) % repeat_every
        if rest == repeat_every:
            yield block * repeat_every + again, False
        else:
            whole = (block + 1) * repeat_every <= members
            yield block * repeat_every + rest, whole and rest == again


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
    found: dict[str, Any] = {
        "name": name,
        "engagementScore": score,
        "engagementPercentChange": _number(score - _score(before), person.key, exponents=style.exponents),
        "firstActivity": person.joined,
        "lastActivity": customer.last_activity,
        "totalActions": max(0, len(activities) - outdated),
        "attributes": _attributes(customer, style),
    }
    if not person.anonymous:
        found["displayName"] = f"{person.first_name} {person.last_name}"
        found["emailAddress"] = person.email
    elif person.number % 2:
        found["displayName"] = None
    if dataset == SHOP_BUSINESS and person.company is not None:
        found["accountName"] = company_name(person.company)
    place = person.number % BLOCK
    memberships = [segment.name for segment in SEGMENTS if place in segment.places]
    if outdated:
        memberships = memberships[1:]
    found["segments"] = memberships or None
    if style.segment:
        found["segmentJoined"] = person.joined + DAY
        found["segmentInputValues"] = {style.segment.rule: str(len(activities))}
    if style.include_geo:
        found["location"] = _location(customer)
    if style.unknown_fields and person.anonymous:
        found["anonymous"] = True
    return found


def _score(actions: int) -> float | int:
    """A fraction that may exceed 1; whole numbers arrive as integers."""
    score = min(_HIGHEST_SCORE, actions / _FULL_SCORE)
    return int(score) if score == int(score) else round(score, 3)


def _number(value: float, key: int, *, exponents: bool) -> float | msgspec.Raw:
    """Java writes small doubles as 2.0E-4."""
    if value == 0 and key % 8 == 0:
        small = 1 + key % 9
        return msgspec.Raw(b"%d.0E-4" % small) if exponents else small / 10_000
    return round(float(value), 3)


def _attributes(customer: Customer, style: Style) -> Any:  # noqa: ANN401 - an object, or a list on some tenants' profiles
    """Custom attributes of all JSON types, empty for most anonymous users."""
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
    """One account of an export. Its times are whole UTC days, its status is a custom attribute at the top level."""
    random_bits = number * 2_654_435_761 % 2**32
    days = (at - opened) // DAY
    rhythm = 2 + random_bits % 9
    last = opened // DAY + days // rhythm * rhythm
    in_window = max(0, (window.end - max(window.start, opened)) // DAY // rhythm)
    found: dict[str, Any] = {
        "name": company_name(number),
        "engagementScore": _score(in_window),
        "engagementPercentChange": round((random_bits % 800 - 400) / 1000, 3),
        "firstActivity": opened // DAY * DAY,
        "lastActivity": last * DAY,
        "totalActions": max(0, 5 * days // rhythm - outdated),
        "accountStatus": ("active", "prospect", "på vent")[random_bits % 3],
    }
    if random_bits % 4 == 0:
        found["industry"] = INDUSTRIES[random_bits % len(INDUSTRIES)]
    return found
