"""Fixtures of the target tests: one Meltano project, and two databases after two runs two days apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pytest

from tests.helpers.running import Warehouse, run_tap
from tests.targets.loaded import FIRST_END, SECOND_END, START, Loaded
from tests.targets.meltano_project import MeltanoProject, as_environment
from tests.targets.postgres_server import postgres_server
from tests.targets.shop import settings_of, shop

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> MeltanoProject:
    """A Meltano project that installs each plugin once for all tests."""
    return MeltanoProject(tmp_path_factory.mktemp("meltano"))


@pytest.fixture(scope="session")
def emitted() -> Warehouse:
    """The tap's own output of the same two runs, merged by key."""
    warehouse, state = Warehouse(), None
    for end in (FIRST_END, SECOND_END):
        with shop(end) as sandbox:
            run = run_tap(settings_of(sandbox, end), state=state)
        assert run.exit_code == 0, run.log
        warehouse.load(run)
        state = run.states[-1]
    return warehouse


@pytest.fixture(scope="session")
def expected_first() -> dict[str, int]:
    """The sandbox's own count of the rows the first run must load."""
    with shop(FIRST_END) as sandbox:
        return sandbox.population.counts(start=START, end=FIRST_END)


def load_twice(project: MeltanoProject, loaded: Loaded, **environment: str) -> Loaded:
    """Run the tap into a target on two different days."""
    for end in (FIRST_END, SECOND_END):
        with shop(end) as sandbox:
            project.run(loaded.target, **as_environment(settings_of(sandbox, end)), **environment)
        loaded.counts.append(loaded.count_rows())
    return loaded


@pytest.fixture(scope="session")
def in_duckdb(project: MeltanoProject, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """A DuckDB file, in a folder that Meltano has to create, after both runs."""
    path = str(tmp_path_factory.mktemp("duckdb") / "not" / "there" / "cdp.duckdb")

    def query(sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(path, read_only=True) as database:
            return database.execute(sql).fetchall()

    return load_twice(project, Loaded("target-duckdb", query), TARGET_DUCKDB_PATH=path)


@pytest.fixture(scope="session")
def in_postgres(project: MeltanoProject) -> Iterator[Loaded]:
    """A PostgreSQL database after both runs."""
    with postgres_server() as server, psycopg.connect(**server, autocommit=True) as database:

        def query(sql: str) -> list[tuple[Any, ...]]:
            return database.execute(sql.encode()).fetchall()

        names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "DATABASE"}
        environment = {f"TARGET_POSTGRES_{names[key]}": str(value) for key, value in server.items()}
        yield load_twice(project, Loaded("target-postgres", query), **environment)


@pytest.fixture(params=["in_duckdb", "in_postgres"])
def loaded(request: pytest.FixtureRequest) -> Loaded:
    """Each of the databases."""
    found: Loaded = request.getfixturevalue(request.param)
    return found
