"""`users` with singer-python only: no conformance, no selection, the same columns."""

from __future__ import annotations

import itertools
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import requests
import singer  # type: ignore[import-not-found,unused-ignore]  # installed in the peer's own environment

from tests.benchmarks.plain_records import user_record, window_text


def main(config: dict[str, Any]) -> None:
    """Read all pages.

    Args:
        config: as the plain tap's.
    """
    session = requests.Session()
    session.auth = ("id", "secret")
    window = window_text(config)
    dataset = config["dataset_id"]
    start, end = (int(datetime.fromisoformat(config[name]).timestamp() * 1000) for name in ("start_date", "end_date"))
    columns = user_record({}, window)
    schema = {"type": "object", "properties": {name: {} for name in ("dataset_id", *columns)}}
    singer.write_schema("users", schema, ["dataset_id", "name"])
    for page in itertools.count():
        answer = session.get(
            f"{config['base_url']}/api/dataset/{dataset}/users.json",
            params={"page": page, "pageSize": config["page_size"], "start": start, "end": end},
            timeout=300,
        )
        answer.raise_for_status()
        users = answer.json()
        if not users:
            break
        for user in users:
            singer.write_record("users", {"dataset_id": dataset, **user_record(user, window)})
    singer.write_state({"bookmarks": {"users": {"window_end": window["window_end"]}}})


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_bytes()))
