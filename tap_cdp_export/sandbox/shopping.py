"""Activities of customers: sign-ups, mails, visits, orders and unsubscriptions."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from tap_cdp_export.sandbox.people import DAY, Person
from tap_cdp_export.sandbox.shop import CAMPAIGNS, PRODUCTS, order_cents

if TYPE_CHECKING:
    from random import Random

SIGN_UP, MAIL, OPEN, CLICK, VIEW, CART, ORDER, UNSUBSCRIBE = range(8)
WELCOME_MAIL = -1  # `subject` of the welcome mail

MINUTE = 60_000
HOUR = 60 * MINUTE


class Activity(NamedTuple):
    """An activity: its time (epoch milliseconds), kind, product or campaign, and 48 random bits for its details."""

    at: int
    kind: int
    subject: int
    random_bits: int


class Behaviour(NamedTuple):
    """Parameters of a kind of customer; `share` is the upper end of its slice of all people."""

    share: float
    visits: int
    more_visits: int
    gap_days: int
    buys: float


BEHAVIOURS = (
    Behaviour(0.35, 1, 2, 45, 0.0),  # one or two visits
    Behaviour(0.65, 2, 3, 40, 0.5),  # a few visits
    Behaviour(0.90, 4, 8, 30, 0.65),  # returning customer
    Behaviour(1.01, 8, 16, 14, 0.8),  # frequent customer
)
BUSINESS_BUYS = 0.15
NEWSLETTER_SHARE = 0.5
OPEN_SHARE = 0.55
CLICK_SHARE = 0.5
CART_SHARE = 0.5
UNSUBSCRIBE_SHARE = 0.18


class Customer:
    """A person with the activities up to a point in time."""

    __slots__ = ("activities", "at", "person")

    def __init__(self, person: Person, activities: list[Activity], at: int) -> None:
        """Take a person and the activities up to `at`."""
        self.person = person
        self.activities = activities
        self.at = at

    @property
    def last_activity(self) -> int:
        """Time of the person's last own activity; received mails do not count."""
        return next(
            (activity.at for activity in reversed(self.activities) if activity.kind != MAIL), self.person.joined
        )

    @property
    def orders(self) -> list[Activity]:
        """Orders, oldest first."""
        return [activity for activity in self.activities if activity.kind == ORDER]

    @property
    def unsubscribed(self) -> int | None:
        """Time at which the person left the mailing list, or None."""
        return self.activities[-1].at if self.activities and self.activities[-1].kind == UNSUBSCRIBE else None

    @property
    def in_club(self) -> bool:
        """True if the person has joined the loyalty club."""
        return self.person.club_joined is not None and self.person.club_joined <= self.at

    def actions_between(self, start: int, end: int) -> int:
        """Number of activities from `start` (inclusive) to `end` (exclusive)."""
        times = [activity.at for activity in self.activities]
        return bisect_right(times, end - 1) - bisect_right(times, start - 1)


def spent_cents(orders: list[Activity]) -> int:
    """Total price of these orders."""
    return sum(order_cents(order.subject, order.random_bits) for order in orders)


def generate_activities(person: Person, random: Random, until: int) -> list[Activity]:
    """Generate a person's activities up to `until`; a later `until` only appends activities."""
    draw = random.random
    kind = draw()
    behaviour = next(behaviour for behaviour in BEHAVIOURS if kind < behaviour.share)
    buys = behaviour.buys + (BUSINESS_BUYS if person.business else 0)
    activities: list[Activity] = []
    time = person.joined
    if not person.anonymous:
        activities.append(Activity(time, SIGN_UP, 0, random.getrandbits(48)))
        time = _mail(activities, random, time + 5 * MINUTE, WELCOME_MAIL)
    for visit in range(behaviour.visits + int(draw() * behaviour.more_visits)):
        if visit:
            time += int(behaviour.gap_days * (0.2 + 1.6 * draw()) * DAY)
            if not person.anonymous and draw() < NEWSLETTER_SHARE:
                time = _mail(activities, random, time, int(draw() * len(CAMPAIGNS)))
        if time > until:
            break
        time = _visit(activities, random, time, -1 if person.anonymous else buys)
    else:
        if not person.anonymous and draw() < UNSUBSCRIBE_SHARE:
            unsubscribe_time = time + int((1 + 20 * draw()) * DAY)
            activities.append(Activity(unsubscribe_time, UNSUBSCRIBE, 0, random.getrandbits(48)))
    while activities and activities[-1].at > until:
        activities.pop()
    return activities


def _visit(activities: list[Activity], random: Random, time: int, buys: float) -> int:
    """Append a visit: product views, perhaps a cart and an order.

    Returns the time of its last activity. `buys` is the probability of an order; below 0 there is no cart either.
    """
    draw, bits = random.random, random.getrandbits
    product = int(draw() * len(PRODUCTS))
    for _ in range(1 + int(draw() * 4)):
        time += 15_000 + int(draw() * 3 * MINUTE)
        activities.append(Activity(time, VIEW, product, bits(48)))
        product = (product + 5) % len(PRODUCTS)
    if buys >= 0 and draw() < CART_SHARE + buys / 4:
        time += 20_000
        activities.append(Activity(time, CART, product, bits(48)))
        if draw() < buys:
            time += 2 * MINUTE
            activities.append(Activity(time, ORDER, product, bits(48)))
    return time


def _mail(activities: list[Activity], random: Random, time: int, campaign: int) -> int:
    """Append a mail, perhaps opened and clicked, and return the time of its last activity."""
    activities.append(Activity(time, MAIL, campaign, random.getrandbits(48)))
    if random.random() < OPEN_SHARE:
        time += 3 * MINUTE + int(random.random() * 8 * HOUR)
        activities.append(Activity(time, OPEN, campaign, random.getrandbits(48)))
        if random.random() < CLICK_SHARE:
            time += 5_000 + int(random.random() * MINUTE)
            activities.append(Activity(time, CLICK, campaign, random.getrandbits(48)))
    return time
