"""Profiles of an APSIS One export: sections with attributes, tags and events."""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec import Struct

from tap_cdp_export.sandbox import shopping
from tap_cdp_export.sandbox.apsis import definitions as apsis
from tap_cdp_export.sandbox.names import ROLES
from tap_cdp_export.sandbox.people import BLOCK, DAY, company_name
from tap_cdp_export.sandbox.shop import CAMPAIGNS, PRODUCTS, WELCOME, order_cents, order_lines, order_number
from tap_cdp_export.sandbox.shopping import Activity, Customer, spent_cents

_LONGEST_RETRY = 60_000  # maximum delay of a retried event, in milliseconds
_QUIET_AFTER = 90 * DAY
_GOLD_ORDERS = 3
_MAILS = frozenset({shopping.MAIL, shopping.OPEN, shopping.CLICK, shopping.UNSUBSCRIBE})

# Special cases occur for every nth event, by the random bits of its activity.
_UNKNOWN_TIME, _RETRY, _COPY, _NO_CORRELATION = 29, 31, 97, 13


class Request(Struct, frozen=True):
    """Content of an export request: version IDs by section number, and the window of events."""

    attributes: dict[str, frozenset[str]]
    tags: dict[str, frozenset[str]]
    events: dict[str, frozenset[str]]
    start: int
    end: int


class Rules(NamedTuple):
    """Parameters of an export that do not depend on the request.

    Attributes:
        at: Time of the export.
        year_two: Time from which events carry the newer version of their definition.
        late_seconds: Maximum delay between the receipt of an event and its visibility.
        least_late_seconds: Minimum of that delay.
    """

    at: int
    year_two: int
    late_seconds: int
    least_late_seconds: int


def everything(start: int, end: int) -> Request:
    """Request for everything that the sandbox's default settings ask for."""
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
    """Return True for the few anonymous visitors whose profiles have no sections."""
    return number % (8 * BLOCK) == 8 * BLOCK - 8  # an anonymous position, see people.py


def profile(customer: Customer, request: Request, rules: Rules) -> dict[str, Any]:
    """Build one profile of the export file, with the requested content only."""
    sections: dict[str, Any] = {}
    if has_no_sections(customer.person.number):
        return {"sections": sections}
    for section, values, tags in _sections(customer):
        attribute_ids, tag_ids = request.attributes[section.number], request.tags[section.number]
        attributes = {
            definition.version: {"value": value}
            for definition, value in values.items()
            if definition.version in attribute_ids
        }
        attributes.update({tag.version: {"value": None} for tag in tags if tag.version in tag_ids})
        section_data: dict[str, Any] = {"attributes": attributes}
        if request.events[section.number]:
            build = _shop_events if section is apsis.SHOP else _club_events
            events = build(customer, request, rules)
            if events or customer.person.number % 3 == 0:
                section_data["events"] = events
            elif customer.person.number % 3 == 1:
                section_data["events"] = None
        if attributes or section_data.get("events"):
            sections[section.number] = section_data
    return {"sections": sections}


_Events = list[dict[str, Any]]
_SectionContent = tuple[apsis.Section, dict[apsis.Definition, Any], list[apsis.Definition]]


def _sections(customer: Customer) -> list[_SectionContent]:
    """Sections that the person is in, with attribute values and tags."""
    person, orders = customer.person, customer.orders
    sections: list[_SectionContent] = []
    if person.anonymous:
        sections.append((apsis.SHOP, {apsis.NEWSLETTER: False}, []))
    else:
        sections.append((apsis.SHOP, _shop_values(customer, orders), _shop_tags(customer, orders)))
    if customer.in_club:
        is_gold = len(orders) >= _GOLD_ORDERS
        club_values = {
            apsis.CLUB_EMAIL: person.email,
            apsis.CLUB_LEVEL: "gull ★" if is_gold else "bronse",
            apsis.CLUB_POINTS: 2**40 + spent_cents(orders),
        }
        sections.append((apsis.CLUB, club_values, [apsis.GOLD] if is_gold else []))
    if person.company is not None:
        work_values = {
            apsis.WORK_EMAIL: person.email,
            apsis.COMPANY: company_name(person.company),
            apsis.ROLE: ROLES[person.key % len(ROLES)],
        }
        sections.append((apsis.BUSINESS, work_values, [apsis.INVOICE] if person.key & 1 else []))
    return sections


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
        apsis.BIRTHDAY: person.born if person.number % 7 else None,  # a cleared attribute: null, like a tag
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
    version_ids = request.events[apsis.SHOP.number]
    earliest, latest = request.start - _LONGEST_RETRY, min(request.end, rules.at)
    events: _Events = []
    for activity in customer.activities:
        at = activity.at
        if not earliest <= at < latest:
            continue
        definition = apsis.EVENT_OF_KIND[activity.kind]
        version = definition.old if definition.old and at < rules.year_two else definition.version
        if version in version_ids:
            event = _event(activity, version, _shop_data(activity, customer))
            _append_event(events, event, activity, request, rules)
    return events


def _club_events(customer: Customer, request: Request, rules: Rules) -> _Events:
    events: _Events = []
    joined_at = customer.person.club_joined
    if joined_at is not None and apsis.EARNED.version in request.events[apsis.CLUB.number]:
        for order in customer.orders:
            if order.at >= joined_at:
                points = order_cents(order.subject, order.random_bits) // 100
                event = _event(order, apsis.EARNED.version, {"points": points, "trueFalse": points > 100})  # noqa: PLR2004 - an arbitrary threshold
                _append_event(events, event, order, request, rules)
    return events


def _event(activity: Activity, version: str, data: dict[str, Any]) -> dict[str, Any]:
    random_bits = activity.random_bits
    event: dict[str, Any] = {}
    # Only the Email Tool sets a correlation ID; web events have none, and some sources omit it.
    if activity.kind != shopping.VIEW and random_bits % _NO_CORRELATION:
        event["correlationId"] = f"{random_bits >> 16:08x}-{random_bits & 0xFFFF:04x}-4000-8000-{activity.at:012x}"
    event["sourceEventTime"] = 0 if random_bits % _UNKNOWN_TIME == 0 else activity.at
    event["typeId"] = version
    event["createdAt"] = activity.at + 200 + random_bits % 4_000
    event["data"] = data
    return event


def _append_event(events: _Events, event: dict[str, Any], activity: Activity, request: Request, rules: Rules) -> None:
    """Append the event if it is in the window and visible; some events also get an exact copy or a retry."""
    created_at, random_bits = event["createdAt"], activity.random_bits
    shortest_delay, longest_delay = rules.least_late_seconds * 1000, rules.late_seconds * 1000
    delay = shortest_delay + (random_bits >> 8) % (max(longest_delay - shortest_delay, 0) + 1)
    if request.start <= created_at < request.end and created_at + delay <= rules.at:
        events.append(event)
        if random_bits % _COPY == 0:
            events.append(event)
    if activity.kind in _MAILS and random_bits % _RETRY == 0:
        created_at += 10_000 + random_bits % 30_000
        if request.start <= created_at < request.end and created_at + delay <= rules.at:
            events.append({**event, "createdAt": created_at})


def _shop_data(activity: Activity, customer: Customer) -> dict[str, Any]:
    """Build the `data` of an event by its kind."""
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
