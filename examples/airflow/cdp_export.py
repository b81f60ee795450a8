"""Airflow 3: one mapped task for each partition of the export, at most three at a time.

Put it into the folder of the DAGs together with `cdp_partitions.py`, which says which environment variables it needs.
A fan-out over the past: `airflow dags trigger cdp_export --conf '{"options": ["--start=2025-01-01", "--every=7d"]}'`.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any

import cdp_partitions
from airflow.sdk import Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

RETRY_DELAY = timedelta(seconds=int(os.environ.get("CDP_EXPORT_RETRY_SECONDS", "300")))


@dag(
    schedule="0 3 * * *",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 -- in the time zone of Airflow's settings
    catchup=False,  # a run reads all that is new, however many were missed
    max_active_runs=1,
    params={"options": Param([], type="array", description="Options of tap-cdp-export-partitions.")},
)
def cdp_export() -> None:
    """List the partitions, then run each."""

    @task
    def list_partitions(params: dict[str, Any]) -> list[dict[str, Any]]:
        return cdp_partitions.partitions(*params["options"])

    @task(
        retries=3,
        retry_delay=RETRY_DELAY,
        retry_exponential_backoff=True,
        max_active_tis_per_dag=3,
        map_index_template="{{ partition }}",
    )
    def export(partition: dict[str, Any]) -> str:
        get_current_context()["partition"] = partition["id"]  # the name of the task in the web pages
        try:
            return cdp_partitions.export(partition)
        except cdp_partitions.ExportFailed as failure:
            if failure.can_be_retried:
                raise
            raise AirflowFailException(str(failure)) from failure

    export.expand(partition=list_partitions())


cdp_export()
