"""Dagster: one asset, with a partition for each piece of the export; the pool `cdp_export` limits how many run at once.

Beside it lies `cdp_partitions.py`, which says which environment variables it needs. `dagster.yaml` goes to
`$DAGSTER_HOME`. For a fan-out over the past, put its options into `CDP_EXPORT_HISTORY`, run the job `list_history`, and
start a backfill of the partitions `….from-…`.
"""

import os

import cdp_partitions
import dagster as dg

HISTORY = os.environ.get("CDP_EXPORT_HISTORY", "").split()  # --start=2025-01-01 --end=2025-07-01 --every=7d
RETRY_SECONDS = int(os.environ.get("CDP_EXPORT_RETRY_SECONDS", "300"))

pieces = dg.DynamicPartitionsDefinition(name="cdp_export")


@dg.asset(
    partitions_def=pieces,
    pool="cdp_export",
    retry_policy=dg.RetryPolicy(max_retries=3, delay=RETRY_SECONDS, backoff=dg.Backoff.EXPONENTIAL),
)
def cdp_export(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """The tables of the export."""
    options = HISTORY if ".from-" in context.partition_key else []
    found = {piece["id"]: piece for piece in cdp_partitions.partitions(*options)}
    if context.partition_key not in found:
        raise dg.Failure("The settings give no such partition any more.", allow_retries=False)
    piece = found[context.partition_key]
    try:
        state_id = cdp_partitions.export(piece)
    except cdp_partitions.ExportFailed as failure:
        raise dg.Failure(str(failure), allow_retries=failure.can_be_retried) from failure
    return dg.MaterializeResult(metadata={"state_id": state_id, "streams": ", ".join(piece["streams"])})


export = dg.define_asset_job("export", selection=[cdp_export], partitions_def=pieces)


@dg.schedule(cron_schedule="0 3 * * *", job=export)
def daily(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
    """Run every piece, datasets and segments that are new included."""
    ids = [piece["id"] for piece in cdp_partitions.partitions()]
    context.instance.add_dynamic_partitions("cdp_export", ids)
    day = f"{context.scheduled_execution_time:%Y-%m-%d}"
    return [dg.RunRequest(run_key=f"{day} {name}", partition_key=name) for name in ids]


@dg.op
def add_partitions(context: dg.OpExecutionContext) -> None:
    """Make the pieces of the past known, so that a backfill can choose them."""
    ids = [piece["id"] for piece in cdp_partitions.partitions(*HISTORY)]
    context.instance.add_dynamic_partitions("cdp_export", ids)


@dg.job
def list_history() -> None:
    """Run it before a backfill."""
    add_partitions()


defs = dg.Definitions(assets=[cdp_export], jobs=[export, list_history], schedules=[daily])
