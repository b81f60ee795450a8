"""BATCH files are written to S3 just as to a local folder."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import fsspec  # type: ignore[import-untyped]

from tap_cdp_export.sandbox.options import Options, PopulationOptions
from tap_cdp_export.sandbox.server import Sandbox
from tests.buckets.stores import s3
from tests.helpers.running import run_tap, vendor
from tests.whole_tap.conftest import NOW

if TYPE_CHECKING:
    from pathlib import Path


def test_batch_files_in_s3_hold_the_records(tmp_path: Path) -> None:
    with (
        Sandbox(Options(population=PopulationOptions(users=300, companies=20, now=NOW))) as sandbox,
        s3(tmp_path) as store,
    ):
        settings = {**vendor(sandbox.settings(), "personalization"), "end_date": NOW}
        by_record = run_tap(settings)
        storage = {"root": store.url, "prefix": "part-", "params": store.options}
        by_batch = run_tap({**settings, "batch_config": {"storage": storage, "batch_size": 100}})
        assert by_batch.exit_code == 0, by_batch.log
        rows = []
        for message in by_batch.messages:
            if message["type"] == "BATCH" and message["stream"] == "users":
                (url,) = message["manifest"]
                assert url.startswith("s3://bucket/exports/part-users-")
                with fsspec.open(url, **store.options) as file:
                    rows += [json.loads(line) for line in gzip.decompress(file.read()).split(b"\n")[:-1]]
        assert rows == by_record.records("users")
        assert rows
