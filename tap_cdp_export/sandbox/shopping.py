"""What happens to a person: they sign up, get mails, visit, buy, buy again or go quiet."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from tap_cdp_export.sandbox.people import DAY, Person
from tap_cdp_export.sandbox.shop import CAMPAIGNS, PRODUCTS, order_cents

if TYPE_CHECKING:
    from random import Random

SIGN_UP, MAIL, OPEN, CLICK, VIEW, CART, ORDER, UNSUBSCRIBE = range(8)
WELCOME_MAIL = -1  # the product field of a mail that is the welcome mail

MINUTE = 60_000
HOUR = 60 * MINUTE


class Activity(NamedTuple):
    """Something that happened: when (epoch milliseconds), what, about which product or campaign, and 48 random bits."""

    at: int
    kind: int
    subject: int
    random_bits: int


class Behaviour(NamedTuple):
    """How a kind of customer behaves; `share` is the upper end of its slice of all people."""

    share: float
    visits: int
    more_visits: int
    gap_days: int
    buys: float


BEHAVIOURS = (
    Behaviour(0.35, 1, 2, 45, 0.0),  # looks once or twice
    Behaviour(0.65, 2, 3, 40, 0.5),  # buys once
    Behaviour(0.90, 4, 8, 30, 0.65),  # comes back
    Behaviour(1.01, 8, 16, 14, 0.8),  # never stays away for long
)
BUSINESS_BUYS = 0.15
NEWSLETTER_SHARE = 0.5
OPEN_SHARE = 0.55
CLICK_SHARE = 0.5
CART_SHARE = 0.5
UNSUBSCRIBE_SHARE = 0.18


class Customer:
    """A person and what has happened to them until some moment."""

    __slots__ = ("activities", "at", "person")

    def __init__(self, person: Person, activities: list[Activity], at: int) -> None:
        """Keep a person's story as it is known at `at`."""
        self.person = person
        self.activities = activities
        self.at = at

    @property
    def last_activity(self) -> int:
        """When the person last did something themselves."""
        return next(
            (activity.at for activity in reversed(self.activities) if activity.kind != MAIL), self.person.joined
        )

    @property
    def orders(self) -> list[Activity]:
        """The person's orders, oldest first."""
        return [activity for activity in self.activities if activity.kind == ORDER]

    @property
    def unsubscribed(self) -> int | None:
        """When the person left the mailing list, if they did."""
        return self.activities[-1].at if self.activities and self.activities[-1].kind == UNSUBSCRIBE else None

    @property
    def in_club(self) -> bool:
        """Whether the person has joined the loyalty club."""
        return self.person.club_joined is not None and self.person.club_joined <= self.at

    def actions_between(self, start: int, end: int) -> int:
        """How many things happened in a window; the window's end is not part of it."""
        times = [activity.at for activity in self.activities]
        return bisect_right(times, end - 1) - bisect_right(times, start - 1)


def spent_cents(orders: list[Activity]) -> int:
    """What these orders cost together."""
    return sum(order_cents(order.subject, order.random_bits) for order in orders)


def generate_activities(person: Person, random: Random, until: int) -> list[Activity]:
    """A person's story up to `until`; a later `until` only ever appends to it."""
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
            later = time + int((1 + 20 * draw()) * DAY)
            activities.append(Activity(later, UNSUBSCRIBE, 0, random.getrandbits(48)))
    while activities and activities[-1].at > until:
        activities.pop()
    return activities


def _visit(activities: list[Activity], random: Random, time: int, buys: float) -> int:
    """Look at some products, perhaps put one into the cart, perhaps buy; gives the time of the last of it.

    Below 0, `buys` is somebody who cannot.
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
    """Send a mail that may be opened and clicked; gives the time of the last of it."""
    activities.append(Activity(time, MAIL, campaign, random.getrandbits(48)))
    if random.random() < OPEN_SHARE:
        time += 3 * MINUTE + int(random.random() * 8 * HOUR)
        activities.append(Activity(time, OPEN, campaign, random.getrandbits(48)))
        if random.random() < CLICK_SHARE:
            time += 5_000 + int(random.random() * MINUTE)
            activities.append(Activity(time, CLICK, campaign, random.getrandbits(48)))
    return time
