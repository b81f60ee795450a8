"""The synthetic dataset behind the three vendors, and the number of rows each stream has."""

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
    """Customers in the order of signing up, each generated on demand from the seed and the customer's number.

    Nothing is stored, so memory does not depend on the number of customers. Times are epoch milliseconds.
    """

    def __init__(self, options: Options) -> None:
        """Use these options, which are read at each call and may change at run time."""
        self._options = options

    def now(self) -> int:
        """The sandbox's current time."""
        frozen = self._options.population.now
        return milliseconds(frozen) if frozen else machine_now()

    def people(self, at: int) -> int:
        """Number of people who have signed up by `at`; their numbers are 0 to that number less one."""
        options = self._options.population
        return self._arrival_count(options.users, at)

    def companies(self, at: int) -> int:
        """Number of companies that have an account by `at`."""
        return self._arrival_count(self._options.population.companies, at)

    def customer(self, number: int, at: int) -> Customer:
        """Generate a customer with the activities up to `at`."""
        options = self._options.population
        random = Random((options.seed << 40) + number)  # noqa: S311 - synthetic data, not a secret
        joined_at = self._arrival_time(options.users, number)
        customer_person = person(number, joined_at, max(1, self.companies(joined_at)), random)
        return Customer(customer_person, generate_activities(customer_person, random, at), at)

    def customers(self, at: int) -> Iterator[Customer]:
        """Yield every customer who has signed up by `at`."""
        return (self.customer(number, at) for number in range(self.people(at)))

    def personalization_users(
        self,
        dataset: str,
        at: int,
        *,
        window: personalization.Statistics | None = None,
        style: personalization.Style | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield the current version of every user of a dataset, in the order of signing up."""
        window = window or personalization.Statistics.default(at)
        style = style or personalization.Style(exponents=False)
        places = personalization.DATASETS[dataset]
        for position in range(personalization.member_count(places, self.people(at))):
            customer = self.customer(personalization.nth_member(places, position), at)
            yield personalization.user(customer, dataset, window, style)

    def personalization_accounts(
        self, dataset: str, at: int, *, window: personalization.Statistics | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the current version of every account of a dataset; only the business dataset has accounts."""
        window = window or personalization.Statistics.default(at)
        if dataset == personalization.SHOP_BUSINESS:
            for number in range(self.companies(at)):
                yield personalization.account(number, self.company_opened(number), at, window)

    def company_opened(self, number: int) -> int:
        """Time at which a company got its account."""
        return self._arrival_time(self._options.population.companies, number)

    def apsis_profile(self, customer: Customer, request: apsis.Request) -> dict[str, Any]:
        """One profile of an APSIS export, as of the customer's `at`."""
        options = self._options.apsis
        rules = apsis.Rules(customer.at, self._opening_time + _YEAR, options.late_seconds, options.least_late_seconds)
        return apsis.profile(customer, request, rules)

    def apsis_profiles(self, at: int, request: apsis.Request) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield every profile with its export key."""
        return ((customer.person.export_key, self.apsis_profile(customer, request)) for customer in self.customers(at))

    def braze_users(
        self, segment: str, at: int, *, style: export_users.Style | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield every user of a Braze segment."""
        style, definition = style or export_users.Style(), export_users.SEGMENTS[segment]
        return (
            export_users.user(customer, style)
            for customer in self.customers(at)
            if export_users.contains(definition, customer)
        )

    def counts(self, *, start: int | str, end: int | str, at: int | str | None = None) -> dict[str, int]:
        """Count the distinct rows of each stream under the default settings.

        Args:
            start: Start of the window of APSIS events (inclusive), RFC 3339 or epoch milliseconds.
            end: End of that window (exclusive).
            at: Time of the count; the sandbox's current time by default.
        """
        moment = self.now() if at is None else _time(at)
        request = apsis.everything(_time(start), _time(end))
        people = self.people(moment)
        counts = {
            "users": sum(personalization.member_count(places, people) for places in personalization.DATASETS.values()),
            "accounts": self.companies(moment),
            "apsis_profiles": 0,
            "apsis_events": 0,
            "braze_users": 0,
        }
        for customer in self.customers(moment):
            sections = self.apsis_profile(customer, request)["sections"]
            counts["apsis_profiles"] += len(sections) or 1
            for section in sections.values():
                counts["apsis_events"] += len({msgspec.json.encode(event) for event in section.get("events") or ()})
            counts["braze_users"] += sum(
                export_users.contains(segment, customer) for segment in export_users.DEFAULT_SEGMENTS
            )
        return counts

    @property
    def _opening_time(self) -> int:
        return milliseconds(self._options.population.opened)

    def _arrival_count(self, per_two_years: int, at: int) -> int:
        """Number of arrivals by `at`, with `per_two_years` arrivals in two years."""
        number = int((at - self._opening_time) * per_two_years / _TWO_YEARS)
        if at < self._opening_time or not per_two_years:
            return 0
        return number + (self._arrival_time(per_two_years, number) <= at)

    def _arrival_time(self, per_two_years: int, number: int) -> int:
        """Time of the nth arrival: inside the nth slice of time, so that arrivals are in the order of their numbers."""
        jitter = number * 2_654_435_761 % 1000 / 1000
        return self._opening_time + int((number + jitter) * _TWO_YEARS / per_two_years)


def _time(value: int | str) -> int:
    return milliseconds(value) if isinstance(value, str) else value
