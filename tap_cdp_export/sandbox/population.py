"""The world behind the three vendors: one set of people, one truth about how many rows there are."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from tap_cdp_export.sandbox.apsis import export_profiles as apsis
from tap_cdp_export.sandbox.braze import export_users
from tap_cdp_export.sandbox.clock import DAY, machine_now, milliseconds
from tap_cdp_export.sandbox.people import person
from tap_cdp_export.sandbox.personalization import export_users as personalization
from tap_cdp_export.sandbox.shopping import Customer, generate_activities

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_cdp_export.sandbox.options import Options

_TWO_YEARS = 2 * 365 * DAY
_YEAR = 365 * DAY


class Population:
    """People who sign up one after another, computed from their number when somebody asks for them.

    Nothing is kept: two million people need no more memory than ten. Times are epoch milliseconds.
    """

    def __init__(self, options: Options) -> None:
        """Read everything from these options, at each call, so that they may change meanwhile."""
        self._options = options

    def now(self) -> int:
        """The sandbox's time."""
        frozen = self._options.population.now
        return milliseconds(frozen) if frozen else machine_now()

    def people(self, at: int) -> int:
        """How many people have signed up; they are the numbers below it, in the order of signing up."""
        options = self._options.population
        return self._arrived(options.users, at)

    def companies(self, at: int) -> int:
        """How many companies have an account."""
        return self._arrived(self._options.population.companies, at)

    def customer(self, number: int, at: int) -> Customer:
        """A person and what has happened to them until `at`."""
        options = self._options.population
        random = Random((options.seed << 40) + number)  # noqa: S311 - a story, not a secret
        joined = self._arrival(options.users, number)
        someone = person(number, joined, max(1, self.companies(joined)), random)
        return Customer(someone, generate_activities(someone, random, at), at)

    def customers(self, at: int) -> Iterator[Customer]:
        """Everyone who has signed up."""
        return (self.customer(number, at) for number in range(self.people(at)))

    def personalization_users(
        self,
        dataset: str,
        at: int,
        *,
        window: personalization.Statistics | None = None,
        style: personalization.Style | None = None,
    ) -> Iterator[dict[str, Any]]:
        """The current version of every user of a data set, in the order of signing up."""
        window = window or personalization.Statistics.default(at)
        style = style or personalization.Style(exponents=False)
        places = personalization.DATASETS[dataset]
        for position in range(personalization.how_many(places, self.people(at))):
            customer = self.customer(personalization.nth(places, position), at)
            yield personalization.user(customer, dataset, window, style)

    def personalization_accounts(
        self, dataset: str, at: int, *, window: personalization.Statistics | None = None
    ) -> Iterator[dict[str, Any]]:
        """The current version of every account of a data set; only the business one has accounts."""
        window = window or personalization.Statistics.default(at)
        if dataset == personalization.SHOP_BUSINESS:
            for number in range(self.companies(at)):
                yield personalization.account(number, self.company_opened(number), at, window)

    def company_opened(self, number: int) -> int:
        """When a company got its account."""
        return self._arrival(self._options.population.companies, number)

    def apsis_profile(self, customer: Customer, request: apsis.Request) -> dict[str, Any]:
        """One profile of an APSIS export, as it is at the life's `at`."""
        options = self._options.apsis
        rules = apsis.Rules(customer.at, self._opened + _YEAR, options.late_seconds, options.least_late_seconds)
        return apsis.profile(customer, request, rules)

    def apsis_profiles(self, at: int, request: apsis.Request) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every profile with its export key."""
        return ((customer.person.export_key, self.apsis_profile(customer, request)) for customer in self.customers(at))

    def braze_users(
        self, segment: str, at: int, *, style: export_users.Style | None = None
    ) -> Iterator[dict[str, Any]]:
        """Every user of a Braze segment."""
        style, chosen = style or export_users.Style(), export_users.SEGMENTS[segment]
        return (
            export_users.user(customer, style)
            for customer in self.customers(at)
            if export_users.contains(chosen, customer)
        )

    def counts(self, *, start: int | str, end: int | str, at: int | str | None = None) -> dict[str, int]:
        """How many distinct rows each stream has under the default settings.

        Args:
            start: Start of the APSIS events' window, RFC 3339 or epoch milliseconds.
            end: Its end, not part of it.
            at: The time the answer is for; the sandbox's now by default.
        """
        moment = self.now() if at is None else _time(at)
        request = apsis.everything(_time(start), _time(end))
        people = self.people(moment)
        found = {
            "users": sum(personalization.how_many(places, people) for places in personalization.DATASETS.values()),
            "accounts": self.companies(moment),
            "apsis_profiles": 0,
            "apsis_events": 0,
            "braze_users": 0,
        }
        for customer in self.customers(moment):
            sections = self.apsis_profile(customer, request)["sections"]
            found["apsis_profiles"] += len(sections) or 1
            for section in sections.values():
                found["apsis_events"] += len({msgspec.json.encode(event) for event in section.get("events") or ()})
            found["braze_users"] += sum(
                export_users.contains(segment, customer) for segment in export_users.DEFAULT_SEGMENTS
            )
        return found

    @property
    def _opened(self) -> int:
        return milliseconds(self._options.population.opened)

    def _arrived(self, pace: int, at: int) -> int:
        """How many have arrived by `at`, at a pace of so many in two years."""
        number = int((at - self._opened) * pace / _TWO_YEARS)
        if at < self._opened or not pace:
            return 0
        return number + (self._arrival(pace, number) <= at)

    def _arrival(self, pace: int, number: int) -> int:
        """When the nth arrives: somewhere in the nth slice of the time, so that arrivals are in order."""
        jitter = number * 2_654_435_761 % 1000 / 1000
        return self._opened + int((number + jitter) * _TWO_YEARS / pace)


def _time(value: int | str) -> int:
    return milliseconds(value) if isinstance(value, str) else value
