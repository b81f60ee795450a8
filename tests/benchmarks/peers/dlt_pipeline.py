"""`users` through dlt's rest_api source to files.

To JSON lines it goes as dlt comes: nested values become columns and child tables. To Parquet it goes the fastest way
we found: nested values stay JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import dlt  # type: ignore[import-not-found,unused-ignore]  # installed in the peer's own environment
from dlt.sources.rest_api import rest_api_source  # type: ignore[import-not-found,unused-ignore]  # the same


def main(config: dict[str, Any], folder: str, form: str) -> None:
    """Read all pages.

    Args:
        config: as the plain tap's.
        folder: where its files go.
        form: `parquet` or `jsonl`.
    """
    source = rest_api_source(
        {
            "client": {
                "base_url": config["base_url"],
                "auth": {"type": "http_basic", "username": "id", "password": "secret"},
                "paginator": {"type": "page_number", "base_page": 0, "page_param": "page", "total_path": None},
            },
            "resources": [
                {
                    "name": "users",
                    "endpoint": {
                        "path": f"api/dataset/{config['dataset_id']}/users.json",
                        "params": {"pageSize": config["page_size"]},
                        "data_selector": "$",
                    },
                }
            ],
        },
        max_table_nesting=0 if form == "parquet" else None,
    )
    pipeline = dlt.pipeline(
        "users",
        pipelines_dir=f"{folder}/pipelines",
        destination=dlt.destinations.filesystem(bucket_url=Path(folder, "files").as_uri()),
        dataset_name="benchmark",
    )
    pipeline.run(source, loader_file_format=form)
    rows = pipeline.last_trace.last_normalize_info.row_counts["users"]
    Path(folder, "rows").write_text(str(rows))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_bytes()), *sys.argv[2:])
