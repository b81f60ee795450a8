from __future__ import annotations

import msgspec
import pytest

from tap_cdp_export.sandbox.apsis import export_profiles
from tap_cdp_export.sandbox.braze import export_users
from tap_cdp_export.sandbox.clock import DAY, milliseconds
from tap_cdp_export.sandbox.options import Options, PopulationOptions
from tap_cdp_export.sandbox.population import Population
from tests.sandbox.clients import NOW

AT = milliseconds(NOW)
LATER = AT + 20 * DAY


def new_population(**options: object) -> Population:
    return Population(Options(population=msgspec.convert({"users": 300, "now": NOW, **options}, PopulationOptions)))


def events(population: Population, at: int) -> set[bytes]:
    request = export_profiles.everything(AT - 60 * DAY, AT + 60 * DAY)
    return {
        msgspec.json.encode([key, number, event])
        for key, profile in population.apsis_profiles(at, request)
        for number, section in profile["sections"].items()
        for event in section.get("events") or ()
    }


def test_the_same_seed_gives_the_same_people_and_another_seed_different_people() -> None:
    first, again, other = (
        [customer.person.email for customer in new_population(seed=seed).customers(AT)] for seed in (7, 7, 8)
    )
    assert first == again
    assert first != other


def test_users_and_events_are_never_removed_over_time() -> None:
    population = new_population()
    for segment in export_users.DEFAULT_SEGMENTS:
        before, after = (
            {user["braze_id"] for user in population.braze_users(segment.identifier, at)} for at in (AT, LATER)
        )
        assert before < after
    assert events(population, AT) < events(population, LATER)
    assert all(
        population.counts(start=AT - DAY, end=AT, at=LATER)[name]
        > population.counts(start=AT - DAY, end=AT, at=AT)[name]
        for name in ("users", "accounts", "apsis_profiles", "braze_users")
    )


def test_sections_are_only_ever_added_to_a_profile() -> None:
    request = export_profiles.everything(AT, AT + 1)
    later_profiles = dict(new_population().apsis_profiles(LATER, request))
    for key, profile in new_population().apsis_profiles(AT, request):
        assert profile["sections"].keys() <= later_profiles[key]["sections"].keys()
        assert bool(profile["sections"]) == bool(later_profiles[key]["sections"])


def test_an_event_becomes_visible_some_time_after_it_was_created() -> None:
    options = Options(population=PopulationOptions(users=300))
    options.apsis.late_seconds = 86_400
    population, window = Population(options), {"start": AT - DAY, "end": AT}
    initial_count = population.counts(**window, at=AT)["apsis_events"]
    final_count = population.counts(**window, at=AT + DAY)["apsis_events"]
    assert initial_count < final_count == population.counts(**window, at=AT + 2 * DAY)["apsis_events"]


def test_the_same_people_can_be_joined_by_e_mail_at_all_vendors() -> None:
    population = new_population()
    at_personalization = {
        user["emailAddress"]
        for dataset in ("engage", "engage-b2b")
        for user in population.personalization_users(dataset, AT)
        if "emailAddress" in user
    }
    at_braze = {user["email"] for user in population.braze_users(export_users.KNOWN.identifier, AT)}
    at_apsis = {
        profile["sections"]["1187"]["attributes"]["9820534"]["value"]
        for _, profile in population.apsis_profiles(AT, export_profiles.everything(AT, AT + 1))
        if "9820534" in profile["sections"].get("1187", {}).get("attributes", {})
    }
    assert at_personalization == at_braze == at_apsis
    assert all(email.rpartition("@")[2] in ("example.com", "example.org") for email in at_braze)


def test_the_population_has_every_kind_of_customer() -> None:
    customers = list(new_population().customers(AT))
    names = {customer.person.first_name + customer.person.last_name for customer in customers}
    assert any(not name.isascii() for name in names)
    assert any(customer.person.anonymous for customer in customers)
    assert any(customer.unsubscribed for customer in customers)
    assert any(len(customer.orders) > 3 for customer in customers)
    assert any(not customer.orders for customer in customers)
    assert any(customer.last_activity > AT - DAY for customer in customers)
    assert any(customer.last_activity < AT - 200 * DAY for customer in customers)


def test_customers_are_generated_on_demand() -> None:
    population = new_population(users=2_000_000)
    assert population.people(AT) > 1_500_000
    last = population.customer(population.people(AT) - 1, AT)
    assert last.person.joined <= AT


@pytest.mark.parametrize("at", [AT, AT + 1, AT + 12_345_678])
def test_people_arrive_in_the_order_of_their_numbers(at: int) -> None:
    population = Population(Options(population=PopulationOptions(users=50_000)))
    count = population.people(at)
    assert population.customer(count - 1, at).person.joined <= at < population.customer(count, at).person.joined


def test_counts_are_zero_before_the_shop_opens() -> None:
    assert set(new_population().counts(start=AT, end=AT + 1, at=0).values()) == {0}
