"""What the users did, summed up by day of the company: the figures behind Braze's series and suppression lists."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tap_cdp_export.sandbox import shopping
from tap_cdp_export.sandbox.braze import export_users
from tap_cdp_export.sandbox.braze.identifiers import CANVAS, EVENT_NAMES, app_of, campaign_id, is_in_control
from tap_cdp_export.sandbox.clock import DAY, HOUR
from tap_cdp_export.sandbox.shop import CAMPAIGNS, order_cents, order_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_cdp_export.sandbox.population import Population
    from tap_cdp_export.sandbox.shopping import Activity, Customer

TOTAL = "total"
"""Key of a figure's sum over all apps; the key is an app's ID otherwise."""
_BOUNCING = 37  # one of so many people has an address that refuses the welcome mail
_MOBILE_INVALID = 41
_BOUNCE_HOURS = 9  # by then a mail that is opened has been opened
_ACTIVE_DAYS = {"dau": 1, "mau": 30}


@dataclass
class Figures:
    """Counts by day; a day is the number of days since 1970 in the company's time zone.

    Attributes:
        mails: By ID of a campaign or Canvas and name of a figure.
        spans: By ID of a campaign or Canvas, times of its first and last send or entry.
        apps: By name of a figure and app, or `TOTAL`.
        active: By app, or `TOTAL`, and day, numbers of the people who did something.
        members: By segment, people who joined it.
        bounces: E-mail address and time of each hard bounce.
        unsubscribes: The same of each unsubscription.
        invalid_phones: Telephone number and time of each one found invalid.
    """

    mails: dict[tuple[str, str], Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)
    apps: dict[tuple[str, str], Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    active: dict[str, dict[int, set[int]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))
    members: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    bounces: list[tuple[str, int]] = field(default_factory=list)
    unsubscribes: list[tuple[str, int]] = field(default_factory=list)
    invalid_phones: list[tuple[str, int]] = field(default_factory=list)

    def mail(self, identifier: str, figure: str, day: int) -> int:
        """Count of a figure of a campaign or Canvas on a day."""
        return self.mails[identifier, figure][day]

    def of_app(self, figure: str, app: str, day: int) -> float:
        """Figure of an app, or of `TOTAL`, on a day; `dau` and `mau` count the people active in 1 or 30 days."""
        if figure in _ACTIVE_DAYS:
            active = self.active[app]
            return len(set().union(*(active.get(day - back, set()) for back in range(_ACTIVE_DAYS[figure]))))
        number = self.apps[figure, app][day]
        return number / 100 if figure == "revenue" else number

    def size(self, segment: str, day: int) -> int:
        """Number of members of a segment at the end of a day."""
        return sum(number for joined, number in self.members[segment].items() if joined <= day)


def figures_of(population: Population, at: int, offset: int, *, control_groups: bool = False) -> Figures:
    """Sum up what everyone has done by `at`; the company's time zone is `offset` milliseconds ahead of UTC."""
    figures = Figures()
    for customer in population.customers(at):
        _Adding(figures, customer, offset, control_groups=control_groups).add()
    for suppressed in (figures.bounces, figures.unsubscribes, figures.invalid_phones):
        suppressed.sort(key=lambda item: item[::-1])
    return figures


class _Adding:
    """Adds what one customer did."""

    def __init__(self, figures: Figures, customer: Customer, offset: int, *, control_groups: bool) -> None:
        self._figures = figures
        self._customer = customer
        self._offset = offset
        self._control_groups = control_groups
        self._app = app_of(customer.person)

    def add(self) -> None:
        customer, person = self._customer, self._customer.person
        self._count_app("new_users", person.joined)
        self._count_session(person.joined)
        for activity in customer.activities:
            self._count_session(activity.at)
            if activity.kind != shopping.MAIL:
                self._count_active(activity.at)
            if activity.kind in EVENT_NAMES:
                self._count_app(EVENT_NAMES[activity.kind], activity.at)
            if activity.kind == shopping.ORDER:
                self._count_app("revenue", activity.at, order_cents(activity.subject, activity.random_bits))
                lines = order_lines(activity.subject, activity.random_bits)
                self._count_app("purchase_quantity", activity.at, len(lines))
        self._count_segments()
        self._count_mails()
        self._count_suppressions()

    def _day(self, at: int) -> int:
        return (at + self._offset) // DAY

    def _count_app(self, figure: str, at: int, number: int = 1) -> None:
        for app in (TOTAL, self._app):
            if app:
                self._figures.apps[figure, app][self._day(at)] += number

    def _count_session(self, at: int) -> None:
        """Count a session as the users' `apps` do: one at the sign-up and one for each activity."""
        if self._app:
            self._count_app("sessions", at)

    def _count_active(self, at: int) -> None:
        for app in (TOTAL, self._app):
            if app:
                self._figures.active[app][self._day(at)].add(self._customer.person.number)

    def _count_segments(self) -> None:
        person, orders = self._customer.person, self._customer.orders
        for segment in export_users.DEFAULT_SEGMENTS:
            if export_users.contains(segment, self._customer):
                joined = orders[0].at if segment.kind == "buyers" else person.joined
                self._figures.members[segment.identifier][self._day(joined)] += 1

    def _mails(self) -> Iterator[tuple[Activity, Activity | None, Activity | None]]:
        """Yield each mail, with the activities in which it was opened and clicked, if it was."""
        activities = self._customer.activities
        for place, mail in enumerate(activities):
            if mail.kind == shopping.MAIL:
                follower, second = [*activities[place + 1 : place + 3], None, None][:2]
                opened = follower if follower and follower.kind == shopping.OPEN else None
                clicked = second if opened and second and second.kind == shopping.CLICK else None
                yield mail, opened, clicked

    def _count_mails(self) -> None:
        for mail, opened, clicked in self._mails():
            is_welcome = mail.subject == shopping.WELCOME_MAIL
            identifier = CANVAS if is_welcome else campaign_id(CAMPAIGNS[mail.subject])
            sent_at = self._customer.person.joined if is_welcome else mail.at
            first, last = self._figures.spans.get(identifier, (sent_at, sent_at))
            self._figures.spans[identifier] = min(first, sent_at), max(last, sent_at)
            if is_welcome or self._control_groups:
                is_control = is_in_control(self._customer.person)
                self._count_mail(identifier, "control_entries" if is_control else "entries", sent_at)
                if is_control:
                    continue
            self._count_mail(identifier, "sent", mail.at)
            if is_welcome and self._bounces(mail, opened):
                self._count_mail(identifier, "bounces", mail.at)
            else:
                self._count_mail(identifier, "delivered", mail.at)
            if opened:
                self._count_mail(identifier, "opens", opened.at)
                self._count_mail(identifier, "opens_by_send_time", sent_at)
            if clicked:
                self._count_mail(identifier, "clicks", clicked.at)
                self._count_mail(identifier, "clicks_by_send_time", sent_at)

    def _count_mail(self, identifier: str, figure: str, at: int) -> None:
        self._figures.mails[identifier, figure][self._day(at)] += 1

    def _bounces(self, mail: Activity, opened: Activity | None) -> bool:
        is_old = mail.at + _BOUNCE_HOURS * HOUR <= self._customer.at
        return self._customer.person.key % _BOUNCING == 0 and opened is None and is_old

    def _count_suppressions(self) -> None:
        figures, person, unsubscribed_at = self._figures, self._customer.person, self._customer.unsubscribed
        if person.anonymous:
            return
        if unsubscribed_at:
            figures.unsubscribes.append((person.email, unsubscribed_at))
            if person.key & 8:  # as in the export's uninstalled_at
                self._count_app("uninstalls", unsubscribed_at)
        mail, opened, _ = next(self._mails(), (None, None, None))
        if mail and not is_in_control(person) and self._bounces(mail, opened):
            figures.bounces.append((person.email, mail.at))
        if person.key % _MOBILE_INVALID == 0 and person.joined + DAY <= self._customer.at:
            figures.invalid_phones.append((f"+{person.phone}", person.joined + DAY))
