"""The cookbook's queries give the results on the page, on DuckDB and on PostgreSQL, and those are right."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import permutations
from typing import TYPE_CHECKING, Any, Final

import duckdb
import psycopg
import pytest

from tap_cdp_export.sandbox.braze.figures import figures_of
from tap_cdp_export.sandbox.braze.identifiers import campaign_id
from tap_cdp_export.sandbox.clock import DAY, HOUR, milliseconds
from tap_cdp_export.sandbox.options import Options, PopulationOptions
from tap_cdp_export.sandbox.population import Population
from tap_cdp_export.sandbox.shop import CAMPAIGNS
from tests.docs.charts import CHARTS, mark
from tests.docs.cookbook import NOW, PAGE, SCHEMA, Result, load, recipes, run
from tests.helpers.about import streams
from tests.targets.postgres_server import postgres_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.docs.charts import Chart

RECIPES: Final = recipes(PAGE.read_text(encoding="utf-8"))
TYPES: Final = {"date-time": "timestamp", "integer": "bigint", "number": "double precision", "boolean": "boolean"}
RECIPE_OF_CAMPAIGNS: Final = next(n for n, recipe in enumerate(RECIPES) if "campaign_message_stats" in recipe.query)

pytestmark = pytest.mark.xdist_group("cookbook")  # one load for all


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sandbox, loaded into DuckDB."""
    return load(tmp_path_factory.mktemp("cookbook"))


@pytest.fixture(scope="module")
def results(database: Path) -> list[Result]:
    """The results of all queries on DuckDB."""
    return run(database, [recipe.query for recipe in RECIPES])


def rows(database: Path, table: str) -> list[dict[str, Any]]:
    """All rows of a table."""
    with duckdb.connect(str(database), read_only=True) as connection:
        cursor = connection.execute(f"SELECT * FROM {SCHEMA}.{table}")  # noqa: S608 -- our own name
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def columns(entry: dict[str, Any]) -> list[tuple[str, str]]:
    """Names and types of a table in PostgreSQL, as target-postgres has them, except that lists are jsonb."""
    found = []
    for name, schema in entry["schema"]["properties"].items():
        (kind,) = [kind for kind in schema["type"] if kind != "null"]
        other = "jsonb" if kind in {"array", "object"} else "text"
        found.append((name, TYPES.get(schema.get("format", kind), other)))
    return found


@pytest.fixture(scope="module")
def postgres(database: Path) -> Iterator[psycopg.Connection]:
    """The same tables in PostgreSQL."""
    with postgres_server() as server, psycopg.connect(**server) as connection:
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
        connection.execute(f"SET search_path = '{SCHEMA}'")
        for stream, entry in streams().items():
            types = columns(entry)
            declared = ", ".join(f'"{name}" {kind}' for name, kind in types)
            connection.execute(f"CREATE TABLE {stream} ({declared})")
            with connection.cursor() as cursor, cursor.copy(f"COPY {stream} FROM STDIN") as copy:
                for row in rows(database, stream):
                    copy.write_row([row[name] for name, _ in types])
        yield connection


def test_the_page_has_the_results(results: list[Result]) -> None:
    for recipe, result in zip(RECIPES, results, strict=True):
        assert recipe.table == result.markdown(), "python -m tests.write_cookbook"
        assert result.rows


@pytest.mark.parametrize("number", range(len(RECIPES)), ids=lambda number: RECIPES[number].query.split("\n")[0][:30])
def test_postgresql_gives_the_same(postgres: psycopg.Connection, results: list[Result], number: int) -> None:
    cursor = postgres.execute(RECIPES[number].query)
    names = tuple(column.name for column in cursor.description or ())
    assert Result(names, cursor.fetchall()).markdown() == results[number].markdown()


def test_users_by_their_last_activity(database: Path, results: list[Result]) -> None:
    limits = (30, 90, 180)
    counted: Counter[int] = Counter()
    for user in rows(database, "users"):
        age = user["window_end"] - user["last_activity"]
        counted[sum(age >= timedelta(days=limit) for limit in limits)] += 1
    assert [row[1] for row in results[0].rows] == [counted[bucket] for bucket in range(4)]
    assert sum(counted.values()) == Population(Options()).counts(start=NOW, end=NOW, at=NOW)["users"]


def test_customers_worth_winning_back(database: Path, results: list[Result]) -> None:
    revenue = {user["email"].lower(): user["total_revenue"] for user in rows(database, "braze_users") if user["email"]}
    away = [
        (-revenue[user["email_address"].lower()], user["name"])
        for user in rows(database, "users")
        if timedelta(days=30) <= user["window_end"] - user["last_activity"] < timedelta(days=90)
        and user["email_address"]
        and revenue.get(user["email_address"].lower())
    ]
    assert [(-row[2], row[0]) for row in results[1].rows] == sorted(away)[:5]


def test_campaigns_and_the_purchases_within_seven_days(database: Path, results: list[Result]) -> None:
    bought: dict[str, set[Any]] = {}
    for purchase in rows(database, "braze_user_purchases"):
        bought.setdefault(purchase["braze_id"], set()).update((purchase["first"], purchase["last"]))
    received = {(row["name"], row["braze_id"]): row for row in rows(database, "braze_user_campaigns")}
    found = {
        key: any(timedelta(0) <= time - row["last_received"] <= timedelta(days=7) for time in bought.get(key[1], ()))
        for key, row in received.items()
    }
    expected = {
        name: (sum(key[0] == name for key in found), sum(value for key, value in found.items() if key[0] == name))
        for name, _ in found
    }
    assert {row[0]: (row[1], row[4]) for row in results[2].rows} == expected
    assert all(0 < converted < opened < total for _, total, opened, converted, *_ in results[2].rows)


def test_segments_that_overlap(database: Path, results: list[Result]) -> None:
    members: dict[str, set[str]] = {}
    for user in rows(database, "braze_users"):
        members.setdefault(user["segment_id"], set()).add(user["braze_id"])
    expected = sorted((len(members[a]), len(members[a] & members[b])) for a, b in permutations(members, 2))
    assert sorted((row[2], row[3]) for row in results[3].rows) == expected


def test_consents_by_channel(database: Path, results: list[Result]) -> None:
    people = {user["braze_id"]: user for user in rows(database, "braze_users")}
    expected = Counter(("e-mail", user["email_subscribe"]) for user in people.values())
    expected += Counter(("push", user["push_subscribe"]) for user in people.values())
    assert {(row[0], row[1]): row[2] for row in results[4].rows} == dict(expected)


def test_a_history_has_all_three_vendors_newest_first(results: list[Result]) -> None:
    times = [row[0] for row in results[5].rows]
    assert times == sorted(times, reverse=True)
    assert {row[1] for row in results[5].rows} == {"APSIS One", "Braze", "Personalization"}


def test_weeks_count_every_event_once(database: Path, results: list[Result]) -> None:
    names = {row["version_id"]: row["name"] for row in rows(database, "apsis_event_types")}
    events = Counter(names[event["type_id"]] for event in rows(database, "apsis_events"))
    kinds = ("Email sent", "Email opened", "Email clicked", "Ordered")
    sums = [sum(row[number] for row in results[6].rows) for number in range(1, 5)]
    assert sums == [events[kind] for kind in kinds]


def test_campaigns_have_the_mails_of_the_population(database: Path, results: list[Result]) -> None:
    population = Population(Options(population=PopulationOptions(now=NOW)))
    figures = figures_of(population, population.now(), HOUR)
    days = {milliseconds(f"{row['date']}") // DAY for row in rows(database, "braze_campaign_message_stats")}
    expected = {
        campaign.name: sum(figures.mail(campaign_id(campaign), "sent", day) for day in days) for campaign in CAMPAIGNS
    }
    assert {row[0]: row[1] for row in results[RECIPE_OF_CAMPAIGNS].rows} == expected


def test_a_canvas_sends_to_those_who_entered(database: Path, results: list[Result]) -> None:
    ((_, entries, _, sent, opened, clicked, conversions),) = results[RECIPE_OF_CAMPAIGNS + 1].rows
    assert entries == sum(row["entries"] for row in rows(database, "braze_canvas_variant_stats"))
    assert entries > sent > opened > clicked == conversions > 0


def test_every_suppressed_address_is_counted_once(database: Path, results: list[Result]) -> None:
    lists = ("braze_hard_bounces", "braze_unsubscribes", "braze_invalid_phones")
    addresses = {(table, row.get("email") or row.get("phone")) for table in lists for row in rows(database, table)}
    assert sum(row[2] for row in results[RECIPE_OF_CAMPAIGNS + 2].rows) == len(addresses)


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_the_chart_is_of_the_results(chart: Chart, results: list[Result]) -> None:
    assert chart.file.read_text(encoding="utf-8").endswith(mark(chart, results)), "python -m tests.write_cookbook"
