"""What APSIS One holds about one person: sections with attributes, tags and events."""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec import Struct

from tap_cdp_export.sandbox import shopping
from tap_cdp_export.sandbox.apsis import definitions as apsis
from tap_cdp_export.sandbox.names import ROLES
from tap_cdp_export.sandbox.people import BLOCK, DAY, company_name
from tap_cdp_export.sandbox.shop import CAMPAIGNS, PRODUCTS, WELCOME, order_cents, order_lines, order_number
from tap_cdp_export.sandbox.shopping import Activity, Customer, spent_cents

_LONGEST_RETRY = 60_000  # a retried event reaches the server this much later at most
_QUIET_AFTER = 90 * DAY
_GOLD_ORDERS = 3
_MAILS = frozenset({shopping.MAIL, shopping.OPEN, shopping.CLICK, shopping.UNSUBSCRIBE})

# How often the oddities come, by the moment's luck.
_UNKNOWN_TIME, _RETRY, _COPY, _NO_CORRELATION = 29, 31, 97, 13


class Request(Struct, frozen=True):
    """What an export was asked for: version ids by section number, and the events' window."""

    attributes: dict[str, frozenset[str]]
    tags: dict[str, frozenset[str]]
    events: dict[str, frozenset[str]]
    start: int
    end: int


class Rules(NamedTuple):
    """What does not depend on the request.

    Attributes:
        at: The moment of the export.
        year_two: From this time on events carry their definition's newer version.
        late_seconds: Events become visible up to this long after they were received.
        least_late_seconds: And at least this long after it.
    """

    at: int
    year_two: int
    late_seconds: int
    least_late_seconds: int


def everything(start: int, end: int) -> Request:
    """The request of the sandbox's default settings."""
    return Request(
        attributes=_by_section(apsis.ATTRIBUTES),
        tags=_by_section(apsis.TAGS),
        events=_by_section(apsis.EVENTS),
        start=start,
        end=end,
    )


def _by_section(definitions: tuple[apsis.Definition, ...]) -> dict[str, frozenset[str]]:
    return {
        section.number: frozenset(
            version
            for definition in definitions
            if definition.section is section
            for version in apsis.versions(definition)
        )
        for section in apsis.SECTIONS
    }


def has_no_sections(number: int) -> bool:
    """A few anonymous visitors are profiles without any section."""
    return number % (8 * BLOCK) == 8 * BLOCK - 8  # one of the anonymous places of people.py


def profile(customer: Customer, request: Request, rules: Rules) -> dict[str, Any]:
    """One profile of the export file; only what was declared in the request is in it."""
    sections: dict[str, Any] = {}
    if has_no_sections(customer.person.number):
        return {"sections": sections}
    for section, values, tags in _sections(customer):
        wanted, wanted_tags = request.attributes[section.number], request.tags[section.number]
        attributes = {
            definition.version: {"value": value} for definition, value in values.items() if definition.version in wanted
        }
        attributes.update({tag.version: {"value": None} for tag in tags if tag.version in wanted_tags})
        part: dict[str, Any] = {"attributes": attributes}
        if request.events[section.number]:
            build = _shop_events if section is apsis.SHOP else _club_events
            found = build(customer, request, rules)
            if found or customer.person.number % 3 == 0:
                part["events"] = found
            elif customer.person.number % 3 == 1:
                part["events"] = None
        if attributes or part.get("events"):
            sections[section.number] = part
    return {"sections": sections}


_Events = list[dict[str, Any]]
_Part = tuple[apsis.Section, dict[apsis.Definition, Any], list[apsis.Definition]]


def _sections(customer: Customer) -> list[_Part]:
    """The sections the person is in, with their attribute values and tags."""
    person, orders = customer.person, customer.orders
    found: list[_Part] = []
    if person.anonymous:
        found.append((apsis.SHOP, {apsis.NEWSLETTER: False}, []))
    else:
        found.append((apsis.SHOP, _shop_values(customer, orders), _shop_tags(customer, orders)))
    if customer.in_club:
        gold = len(orders) >= _GOLD_ORDERS
        club = {
            apsis.CLUB_EMAIL: person.email,
            apsis.CLUB_LEVEL: "gull ★" if gold else "bronse",
            apsis.CLUB_POINTS: 2**40 + spent_cents(orders),
        }
        found.append((apsis.CLUB, club, [apsis.GOLD] if gold else []))
    if person.company is not None:
        work = {
            apsis.WORK_EMAIL: person.email,
            apsis.COMPANY: company_name(person.company),
            apsis.ROLE: ROLES[person.key % len(ROLES)],
        }
        found.append((apsis.BUSINESS, work, [apsis.INVOICE] if person.key & 1 else []))
    return found


def _shop_values(customer: Customer, orders: list[Activity]) -> dict[apsis.Definition, Any]:
    person = customer.person
    values: dict[apsis.Definition, Any] = {
        apsis.EMAIL: person.email,
        apsis.FIRST_NAME: person.first_name,
        apsis.LAST_NAME: person.last_name,
        apsis.NEWSLETTER: customer.unsubscribed is None,
        apsis.ADDRESS: {
            "street": f"{person.last_name} gata {person.key % 90}",
            "city": person.city[0],
            "postCode": person.city[1],
        },
        apsis.BIRTHDAY: person.born if person.number % 7 else None,  # cleared again: null, though no tag
    }
    if person.number % 4:
        values[apsis.MOBILE] = person.phone
    if orders:
        values[apsis.LAST_ORDER] = orders[-1].at // 1000
        values[apsis.SPENT] = spent_cents(orders) / 100
    if person.number % 5 == 0:
        values[apsis.SHOE_SIZE] = 35 + person.key % 13
    return values


def _shop_tags(customer: Customer, orders: list[Activity]) -> list[apsis.Definition]:
    tags = [apsis.CUSTOMER] if orders else []
    if customer.last_activity < customer.at - _QUIET_AFTER:
        tags.append(apsis.GONE_QUIET)
    return tags


def _shop_events(customer: Customer, request: Request, rules: Rules) -> _Events:
    declared = request.events[apsis.SHOP.number]
    earliest, latest = request.start - _LONGEST_RETRY, min(request.end, rules.at)
    found: _Events = []
    for activity in customer.activities:
        at = activity.at
        if not earliest <= at < latest:
            continue
        definition = apsis.EVENT_OF_KIND[activity.kind]
        version = definition.old if definition.old and at < rules.year_two else definition.version
        if version in declared:
            event = _event(activity, version, _shop_data(activity, customer))
            _deliver(found, event, activity, request, rules)
    return found


def _club_events(customer: Customer, request: Request, rules: Rules) -> _Events:
    found: _Events = []
    joined = customer.person.club_joined
    if joined is not None and apsis.EARNED.version in request.events[apsis.CLUB.number]:
        for order in customer.orders:
            if order.at >= joined:
                points = order_cents(order.subject, order.random_bits) // 100
                event = _event(order, apsis.EARNED.version, {"points": points, "trueFalse": points > 100})  # noqa: PLR2004 - any border will do
                _deliver(found, event, order, request, rules)
    return found


def _event(activity: Activity, version: str, data: dict[str, Any]) -> dict[str, Any]:
    random_bits = activity.random_bits
    event: dict[str, Any] = {}
    # Only the Email Tool sets a correlation id; web events have none, and some sources forget it.
    if activity.kind != shopping.VIEW and random_bits % _NO_CORRELATION:
        event["correlationId"] = f"{random_bits >> 16:08x}-{random_bits & 0xFFFF:04x}-4000-8000-{activity.at:012x}"
    event["sourceEventTime"] = 0 if random_bits % _UNKNOWN_TIME == 0 else activity.at
    event["typeId"] = version
    event["createdAt"] = activity.at + 200 + random_bits % 4_000
    event["data"] = data
    return event


def _deliver(found: _Events, event: dict[str, Any], activity: Activity, request: Request, rules: Rules) -> None:
    """Put the event into the file if it is in the window and visible; with it its source's retry, and its copy."""
    created, random_bits = event["createdAt"], activity.random_bits
    least, most = rules.least_late_seconds * 1000, rules.late_seconds * 1000
    delay = least + (random_bits >> 8) % (max(most - least, 0) + 1)
    if request.start <= created < request.end and created + delay <= rules.at:
        found.append(event)
        if random_bits % _COPY == 0:
            found.append(event)
    if activity.kind in _MAILS and random_bits % _RETRY == 0:
        created += 10_000 + random_bits % 30_000
        if request.start <= created < request.end and created + delay <= rules.at:
            found.append({**event, "createdAt": created})


def _shop_data(activity: Activity, customer: Customer) -> dict[str, Any]:
    """The event's data, by its kind."""
    if activity.kind in _MAILS:
        return _mail_data(activity)
    if activity.kind == shopping.SIGN_UP:
        return {"source": "web ✓", "language": customer.person.country.language}
    if activity.kind == shopping.ORDER:
        return _order_data(activity, customer)
    product = PRODUCTS[activity.subject]
    if activity.kind == shopping.VIEW:
        return {"url": f"https://shop.example.com/{product.category}/{product.sku}", "title": product.name}
    return {"sku": product.sku, "name": product.name, "price": product.cents / 100, "currency": "EUR"}


def _mail_data(activity: Activity) -> dict[str, Any]:
    campaign = WELCOME if activity.subject == shopping.WELCOME_MAIL else CAMPAIGNS[activity.subject]
    if activity.kind == shopping.UNSUBSCRIBE:
        return {"reason": None}
    data: dict[str, Any] = {"activityId": campaign.number, "subject": campaign.subject}
    if activity.kind == shopping.CLICK:
        data["url"] = f"https://shop.example.com/?utm_campaign={campaign.number}"
    return data


def _order_data(activity: Activity, customer: Customer) -> dict[str, Any]:
    return {
        "orderId": order_number(activity.random_bits),
        "total": order_cents(activity.subject, activity.random_bits) / 100,
        "currency": "EUR",
        "lines": [
            {
                "sku": line.product.sku,
                "name": line.product.name,
                "quantity": line.quantity,
                "price": line.product.cents / 100,
            }
            for line in order_lines(activity.subject, activity.random_bits)
        ],
        "shipping": {
            "city": customer.person.city[0],
            "country": customer.person.country.code,
            "express": activity.random_bits % 5 == 0,
        },
    }
