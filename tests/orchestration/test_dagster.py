"""The example for Dagster: a backfill of windows through the daemon, and the daily schedule."""

from __future__ import annotations

import json
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tap_cdp_export.sandbox.options import Fault
from tests.orchestration.conftest import END, START, only
from tests.orchestration.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tap_cdp_export.sandbox.server import Sandbox
    from tests.targets.meltano_project import MeltanoProject

pytestmark = pytest.mark.orchestrators
DEFINITIONS = ("-f", "definitions.py")
RUNS = """
import json, time
import dagster as dg
deadline = time.monotonic() + 1200
with dg.DagsterInstance.get() as instance:
    while time.monotonic() < deadline:
        runs = [run for run in instance.get_runs() if "dagster/partition" in run.tags]
        if len(runs) == 2 and all(run.is_finished for run in runs):
            break
        time.sleep(2)
    print(json.dumps({run.tags["dagster/partition"]: run.status.value for run in runs}))
"""
TICK = """
import datetime, json
import dagster as dg
from definitions import daily
now = datetime.datetime.now(datetime.UTC)
with dg.DagsterInstance.get() as instance, dg.build_schedule_context(instance, scheduled_execution_time=now) as context:
    print(json.dumps([request.partition_key for request in daily(context)]))
"""


@pytest.fixture
def dagster(tmp_path: Path) -> Engine:
    files = ("dagster/definitions.py", "dagster/dagster.yaml", "cdp_partitions.py")
    return Engine.install(tmp_path, "dagster>=1.11,<2", *files)


@contextmanager
def daemon(dagster: Engine, variables: dict[str, str]) -> Iterator[None]:
    """Run the daemon, which starts the runs of a backfill."""
    with (dagster.folder / "daemon.log").open("w") as log:
        process = subprocess.Popen(
            [dagster.binaries / "dagster-daemon", "run", *DEFINITIONS],
            stdout=log,
            stderr=log,
            cwd=dagster.folder,
            env=dagster.variables(variables),
        )
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def of_python(dagster: Engine, code: str, variables: dict[str, str]) -> Any:
    """Run code in the engine's Python; it prints JSON as its last line."""
    return json.loads(dagster.run("python", "-W", "ignore", "-c", code, **variables).splitlines()[-1])


def test_a_backfill_of_windows_retries_and_the_schedule_knows_what_runs_daily(
    dagster: Engine, project: MeltanoProject, sandbox: Sandbox, server: dict[str, Any], environment: dict[str, str]
) -> None:
    variables = {
        **only(environment, "APSIS"),
        "CDP_EXPORT_HISTORY": "--every=14d",
        "DAGSTER_HOME": str(dagster.folder),
        "MELTANO_PROJECT_ROOT": str(project.folder),
        "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": "dagster",
    }
    dagster.run("dagster", "job", "execute", *DEFINITIONS, "-j", "list_history", **variables)
    # the tap itself asks three times: of five answers that are not whole, one of two windows gets three
    sandbox.options.faults.append(Fault(path="/audience/profiles/exports", method="POST", kind="html", times=5))
    with daemon(dagster, variables):
        dagster.run(
            "dagster", "job", "backfill", *DEFINITIONS, "-j", "export", "--all", "all", "--noprompt", **variables
        )
        runs = of_python(dagster, RUNS, variables)
    assert runs == {"apsis.from-20261020T120000Z": "SUCCESS", "apsis.from-20261103T120000Z": "SUCCESS"}
    with psycopg.connect(**server) as database:
        ((events, profiles),) = database.execute(
            "SELECT (SELECT count(*) FROM dagster.apsis_events), (SELECT count(*) FROM dagster.apsis_profiles)"
        )
    expected = sandbox.population.counts(start=START, end=END, at=END)
    assert (events, profiles) == (expected["apsis_events"], expected["apsis_profiles"])

    assert of_python(dagster, TICK, variables) == ["apsis.exports"]
