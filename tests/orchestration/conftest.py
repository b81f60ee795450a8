"""A Meltano project whose state is in PostgreSQL, and a sandbox of a past day, for runs of several partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tap_cdp_export.sandbox.options import Options, PopulationOptions
from tap_cdp_export.sandbox.server import Sandbox
from tests.helpers.running import vendor
from tests.targets.meltano_project import MeltanoProject, as_environment
from tests.targets.postgres_server import postgres_server

if TYPE_CHECKING:
    from collections.abc import Iterator

START, END = "2026-10-20T12:00:00Z", "2026-11-10T12:00:00Z"


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> MeltanoProject:
    """A project in which the tap and its loader are installed, so that runs need no installation."""
    project = MeltanoProject(tmp_path_factory.mktemp("meltano"))
    done = project.meltano("install", "tap-cdp-export", "target-postgres")
    assert done.returncode == 0, done.stderr
    return project


@pytest.fixture
def server() -> Iterator[dict[str, Any]]:
    """Connection settings of a PostgreSQL server of this test alone: the state of the partitions is in it too."""
    with postgres_server() as running:
        yield running


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox with a fixed clock."""
    with Sandbox(Options(population=PopulationOptions(users=60, companies=5, now=END))) as running:
        yield running


@pytest.fixture
def environment(sandbox: Sandbox, server: dict[str, Any]) -> dict[str, str]:
    """Environment variables of one vendor that is read by window, and of the PostgreSQL server."""
    settings = {**vendor(sandbox.settings(), "apsis"), **vendor(sandbox.settings(), "braze")}
    names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "DATABASE"}
    return {
        **as_environment({**settings, "start_date": START, "end_date": END}),
        **{f"TARGET_POSTGRES_{name}": str(server[key]) for key, name in names.items()},
        "MELTANO_DATABASE_URI": "postgresql+psycopg://{user}:{password}@{host}:{port}/{dbname}".format(**server),
    }


def only(environment: dict[str, str], vendor: str) -> dict[str, str]:
    """Leave out the settings of the other vendors."""
    others = {"APSIS", "BRAZE"} - {vendor}
    return {name: value for name, value in environment.items() if not any(f"_{other}_" in name for other in others)}


def rows(server: dict[str, Any], schema: str) -> dict[str, list[tuple[Any, ...]]]:
    """Read all tables of a schema, without the loader's own columns."""
    found = {}
    with psycopg.connect(**server, autocommit=True) as database:
        columns = database.execute(
            "SELECT table_name, string_agg(quote_ident(column_name), ', ' ORDER BY column_name)"
            " FROM information_schema.columns WHERE table_schema = %s AND column_name NOT LIKE '\\_sdc%%'"
            " GROUP BY table_name",
            (schema,),
        )
        for table, names in columns.fetchall():
            query = f'SELECT {names} FROM "{schema}"."{table}" AS found ORDER BY found::text'  # noqa: S608 -- our names
            found[table] = database.execute(query.encode()).fetchall()
    return found
