"""The peers' environments and commands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from tests.benchmarks.processes import Variant
from tests.benchmarks.taps import plain_settings
from tests.helpers.environments import NotInstallable, environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.benchmarks.data import Part

SINGER_PYTHON: Final = "singer-python 6.8.0"
MSDK: Final = "tap-rest-api-msdk 1.4.2"
DLT: Final = "dlt 1.31.0 rest_api, JSON lines"
DLT_FASTEST: Final = "dlt 1.31.0 rest_api, Parquet"

_PACKAGES: Final = {
    SINGER_PYTHON: ("singer-python==6.8.0", "requests==2.34.2"),
    MSDK: ("tap-rest-api-msdk==1.4.2",),
    DLT: ("dlt[parquet]==1.31.0",),
    DLT_FASTEST: ("dlt[parquet]==1.31.0",),
}


def peers(part: Part, url: str, folder: Path, problems: list[str]) -> Iterator[Variant]:
    """Prepare all peers that can be installed here.

    Args:
        part: the users in JSON.
        url: of the server.
        folder: for their files.
        problems: takes a line for each that cannot be installed.

    Yields:
        Their commands.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.json"
    config.write_text(json.dumps(plain_settings(part, url)))
    for name, packages in _PACKAGES.items():
        try:
            programs = environment(*packages)
        except NotInstallable as error:
            problems.append(f"{name} is not installable here: {error}")
            continue
        python = str(programs / "python")
        if name == SINGER_PYTHON:
            yield Variant(name, (python, "-m", "tests.benchmarks.peers.singer_python_tap", str(config)))
        elif name == MSDK:
            yield Variant(name, (str(programs / "tap-rest-api-msdk"), "--config", str(_msdk_config(part, url, folder))))
        else:
            form = "jsonl" if name == DLT else "parquet"
            output = folder / form
            command = (python, "-m", "tests.benchmarks.peers.dlt_pipeline", str(config), str(output), form)
            yield Variant(name, command, output, {"RUNTIME__DLTHUB_TELEMETRY": "false"})


def _msdk_config(part: Part, url: str, folder: Path) -> Path:
    """Write the settings: a page that has a first record has a next page."""
    path = folder / "msdk.json"
    settings = plain_settings(part, url)
    path.write_text(
        json.dumps(
            {
                "api_url": url,
                "auth_method": "basic",
                "username": "id",
                "password": "secret",
                "pagination_request_style": "page_number_paginator",
                "pagination_response_style": "page",
                "pagination_initial_offset": 0,
                "next_page_token_path": "$[0].name",
                "streams": [
                    {
                        "name": "users",
                        "path": f"/api/dataset/{settings['dataset_id']}/users.json",
                        "params": {"pageSize": part.page},
                        "primary_keys": ["name"],
                        "except_keys": ["attributes"],
                    }
                ],
            }
        )
    )
    return path
