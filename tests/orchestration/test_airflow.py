"""The example for Airflow: a mapped task for each partition, retried where that helps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.sandbox.options import Fault
from tests.orchestration.conftest import rows
from tests.orchestration.engine import Engine

if TYPE_CHECKING:
    from pathlib import Path

    from tap_cdp_export.sandbox.server import Sandbox
    from tests.targets.meltano_project import MeltanoProject

pytestmark = pytest.mark.orchestrators


@pytest.fixture
def airflow(tmp_path: Path) -> Engine:
    engine = Engine.install(tmp_path, "apache-airflow>=3,<4", "airflow/cdp_export.py", "cdp_partitions.py")
    return engine


def test_partitions_are_mapped_and_only_what_can_heal_is_retried(
    airflow: Engine, project: MeltanoProject, sandbox: Sandbox, server: dict[str, Any], environment: dict[str, str]
) -> None:
    variables = {
        **environment,
        "MELTANO_PROJECT_ROOT": str(project.folder),
        "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": "airflow",
        "AIRFLOW_HOME": str(airflow.folder / "home"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(airflow.folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    (airflow.folder / ".airflowignore").write_text("venv\n")
    airflow.run("airflow", "db", "migrate", **variables)
    conf = json.dumps({"options": ["--every=14d"]})
    refused, unwell = ("/users/export/segment", 403), ("/audience/profiles/exports", 503)
    sandbox.options.faults += [Fault(status=status, path=path, times=1) for path, status in (refused, unwell)]
    done = airflow.attempt("airflow", "dags", "test", "cdp_export", "--conf", conf, **variables)
    print(done.stdout[-20000:])
    print({k: len(v) for k, v in rows(server, "airflow").items()})
    assert 0
