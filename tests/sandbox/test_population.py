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


def population(**options: object) -> Population:
    return Population(Options(population=msgspec.convert({"users": 300, "now": NOW, **options}, PopulationOptions)))


def events(of: Population, at: int) -> set[bytes]:
    request = export_profiles.everything(AT - 60 * DAY, AT + 60 * DAY)
    return {
        msgspec.json.encode([key, number, event])
        for key, profile in of.apsis_profiles(at, request)
        for number, section in profile["sections"].items()
        for event in section.get("events") or ()
    }


def test_the_same_seed_gives_the_same_people_and_another_seed_others() -> None:
    first, again, other = (
        [customer.person.email for customer in population(seed=seed).customers(AT)] for seed in (7, 7, 8)
    )
    assert first == again
    assert first != other


def test_nobody_and_nothing_vanishes_as_time_passes() -> None:
    one = population()
    for segment in export_users.DEFAULT_SEGMENTS:
        before, after = ({user["braze_id"] for user in one.braze_users(segment.identifier, at)} for at in (AT, LATER))
        assert before < after
    assert events(one, AT) < events(one, LATER)
    assert all(
        one.counts(start=AT - DAY, end=AT, at=LATER)[name] > one.counts(start=AT - DAY, end=AT, at=AT)[name]
        for name in ("users", "accounts", "apsis_profiles", "braze_users")
    )


def test_sections_are_only_ever_added_to_a_profile() -> None:
    request = export_profiles.everything(AT, AT + 1)
    later = dict(population().apsis_profiles(LATER, request))
    for key, profile in population().apsis_profiles(AT, request):
        assert profile["sections"].keys() <= later[key]["sections"].keys()
        assert bool(profile["sections"]) == bool(later[key]["sections"])


def test_an_event_becomes_visible_a_while_after_it_was_created() -> None:
    options = Options(population=PopulationOptions(users=300))
    options.apsis.late_seconds = 86_400
    one, window = Population(options), {"start": AT - DAY, "end": AT}
    at_once = one.counts(**window, at=AT)["apsis_events"]
    settled = one.counts(**window, at=AT + DAY)["apsis_events"]
    assert at_once < settled == one.counts(**window, at=AT + 2 * DAY)["apsis_events"]


def test_the_same_people_can_be_joined_by_e_mail_at_all_vendors() -> None:
    one = population()
    at_personalization = {
        user["emailAddress"]
        for dataset in ("engage", "engage-b2b")
        for user in one.personalization_users(dataset, AT)
        if "emailAddress" in user
    }
    at_braze = {user["email"] for user in one.braze_users(export_users.KNOWN.identifier, AT)}
    at_apsis = {
        profile["sections"]["1187"]["attributes"]["9820534"]["value"]
        for _, profile in one.apsis_profiles(AT, export_profiles.everything(AT, AT + 1))
        if "9820534" in profile["sections"].get("1187", {}).get("attributes", {})
    }
    assert at_personalization == at_braze == at_apsis
    assert all(email.rpartition("@")[2] in ("example.com", "example.org") for email in at_braze)


def test_every_kind_of_story_is_told() -> None:
    customers = list(population().customers(AT))
    names = {customer.person.first_name + customer.person.last_name for customer in customers}
    assert any(not name.isascii() for name in names)
    assert any(customer.person.anonymous for customer in customers)
    assert any(customer.unsubscribed for customer in customers)
    assert any(len(customer.orders) > 3 for customer in customers)
    assert any(not customer.orders for customer in customers)
    assert any(customer.last_activity > AT - DAY for customer in customers)
    assert any(customer.last_activity < AT - 200 * DAY for customer in customers)


def test_two_million_people_cost_nothing_until_somebody_asks_for_them() -> None:
    one = population(users=2_000_000)
    assert one.people(AT) > 1_500_000
    last = one.customer(one.people(AT) - 1, AT)
    assert last.person.joined <= AT


@pytest.mark.parametrize("at", [AT, AT + 1, AT + 12_345_678])
def test_people_arrive_in_the_order_of_their_numbers(at: int) -> None:
    one = Population(Options(population=PopulationOptions(users=50_000)))
    count = one.people(at)
    assert one.customer(count - 1, at).person.joined <= at < one.customer(count, at).person.joined


def test_before_the_shop_opens_there_is_nobody() -> None:
    assert set(population().counts(start=AT, end=AT + 1, at=0).values()) == {0}
