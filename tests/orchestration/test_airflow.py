"""The example for Airflow: a mapped task for each partition, retried where that helps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tap_cdp_export.sandbox.options import Fault
from tests.orchestration.conftest import END, only
from tests.orchestration.engine import Engine

if TYPE_CHECKING:
    from pathlib import Path

    from tap_cdp_export.sandbox.server import Sandbox
    from tests.targets.meltano_project import MeltanoProject

pytestmark = pytest.mark.orchestrators


EXPORT = "/users/export/segment"


@pytest.fixture
def airflow(tmp_path: Path) -> Engine:
    return Engine.install(tmp_path, "apache-airflow>=3,<4", "airflow/cdp_export.py", "cdp_partitions.py")


def test_partitions_are_mapped_and_only_what_can_heal_is_retried(
    airflow: Engine, project: MeltanoProject, sandbox: Sandbox, server: dict[str, Any], environment: dict[str, str]
) -> None:
    variables = {
        **only(environment, "BRAZE"),
        "MELTANO_PROJECT_ROOT": str(project.folder),
        "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": "airflow",
        "AIRFLOW_HOME": str(airflow.folder / "home"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(airflow.folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    (airflow.folder / ".airflowignore").write_text("venv\n")
    airflow.run("airflow", "db", "migrate", **variables)
    test_run = ("airflow", "dags", "test", "cdp_export", "--conf", json.dumps({"options": [f"--end={END}"]}))

    not_whole = Fault(path=EXPORT, kind="html", times=3)  # the tap itself asks three times
    refused = Fault(path=EXPORT, status=403, skip=1)
    sandbox.options.faults += [not_whole, refused]
    failed = airflow.attempt(*test_run, **variables)
    assert "AirflowFailException: braze.segment-" in failed.stdout
    assert "exit code 11" in failed.stdout
    assert "exit code 12" in failed.stdout
    assert refused.seen == 2  # one that was not whole had a second attempt, and one that was refused had none
    assert len(segments(server)) == 1

    airflow.run(*test_run, **variables)
    assert segments(server) == sandbox_segments(sandbox)


def segments(server: dict[str, Any]) -> set[str]:
    """The segments whose users are in the table."""
    with psycopg.connect(**server) as database:
        return {name for (name,) in database.execute("SELECT DISTINCT segment_id FROM airflow.braze_users")}


def sandbox_segments(sandbox: Sandbox) -> set[str]:
    return set(sandbox.settings()["braze"]["segment_ids"])
