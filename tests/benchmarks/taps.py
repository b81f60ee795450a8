"""This tap and the plain tap, configured to do the same work."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.sandbox.apsis import definitions
from tests.benchmarks.data import DATASET, NOW, SEGMENT, START, Part
from tests.benchmarks.plain_entries import TABLES
from tests.benchmarks.processes import Variant, beside_python

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

OURS: Final = "tap-cdp-export"
PLAIN: Final = "plain SDK tap"
RIGHT: Final = "plain SDK tap put right"
TARGET_DUCKDB: Final = "target-duckdb 0.8.0, DuckDB below 1.3"
ALONE: Final = f"{TARGET_DUCKDB}, alone"

STREAMS: Final = {
    "users": ("users",),
    "csv": ("users",),
    "apsis": ("apsis_profiles", "apsis_events"),
    "braze": ("braze_users",),
}
CHILDREN: Final = ("braze_users", *(stream.name for stream in TABLES))  # type: ignore[misc]  # a name of the class
"""The users of Braze, and the tables of their lists."""

_OURS: Final = (beside_python("tap-cdp-export"),)
_PLAIN: Final = (sys.executable, "-m", "tests.benchmarks.plain_tap")


def our_settings(part: Part, url: str) -> dict[str, Any]:
    """Return this tap's settings for a part.

    Args:
        part: what is read.
        url: of the server.

    Returns:
        The settings.
    """
    times = {"start_date": START, "end_date": NOW}
    if part.kind == "apsis":
        items = {
            "attributes": definitions.items(definitions.ATTRIBUTES),
            "tags": definitions.items(definitions.TAGS),
            "events": definitions.items(definitions.EVENTS),
        }
        keys = {"client_id": "id", "client_secret": "secret-of-the-client"}
        return {**times, "apsis": {"base_url": url, **keys, **items, "window_days": 85}}
    if part.kind == "braze":
        braze = {"base_url": url, "api_key": "secret-key", "segment_ids": [SEGMENT], "tables": ["braze_user_*"]}
        return {**times, "braze": braze}
    keys = {"api_key_id": "id", "api_key_secret": "secret-of-the-key"}
    form = {"format": "csv", "csv_list_separator": "|"} if part.kind == "csv" else {"format": "json"}
    own_settings = {"base_url": url, "dataset_ids": [DATASET], "page_size": part.page, **keys, **form}
    return {**times, "personalization": own_settings}


def plain_settings(part: Part, url: str) -> dict[str, Any]:
    """Return the plain tap's settings for a part.

    Args:
        part: what is read.
        url: of the server.

    Returns:
        The settings.
    """
    return {
        "base_url": url,
        "dataset_id": DATASET,
        "segment_id": SEGMENT,
        "page_size": part.page or 1_000,
        "format": "csv" if part.kind == "csv" else "json",
        "start_date": START,
        "end_date": NOW,
        "attribute_ids": [item["version_id"] for item in definitions.items(definitions.ATTRIBUTES)],
    }


def command_lines(argument: str, folder: Path) -> list[Variant]:
    """Prepare both taps for a command that reads nothing from a vendor.

    Args:
        argument: such as `--discover`.
        folder: for their files.

    Returns:
        This tap with the settings of all vendors, and the plain tap.
    """
    url = "http://127.0.0.1:9"  # a port on which nothing listens
    folder.mkdir(parents=True)
    parts = [Part(kind, 1, 1) for kind in ("users", "apsis", "braze")]
    ours: dict[str, Any] = {}
    for part in parts:
        ours |= our_settings(part, url)
    variants = []
    for name, command, settings in ((OURS, _OURS, ours), (PLAIN, _PLAIN, plain_settings(parts[0], url))):
        config = folder / f"{name.replace(' ', '-')}.json"
        config.write_text(json.dumps(settings))
        variants.append(Variant(name, (*command, "--config", str(config), argument)))
    return variants


def variant(  # noqa: PLR0913 -- what may differ between two runs
    name: str,
    part: Part,
    url: str,
    folder: Path,
    *,
    settings: dict[str, Any] | None = None,
    streams: Collection[str] = (),
    without: Collection[str] = (),
    output: Path | None = None,
) -> Variant:
    """Write the settings and catalog of one of the two taps.

    Args:
        name: begins with `OURS` or `PLAIN`.
        part: what it reads.
        url: of the server.
        folder: for its files.
        settings: additional settings.
        streams: which are selected; by default all that the part fills.
        without: columns to deselect.
        output: folder for its records, if not stdout.

    Returns:
        Its command.
    """
    command, own_settings = (
        (_OURS, our_settings(part, url)) if name.startswith(OURS) else (_PLAIN, plain_settings(part, url))
    )
    run_folder = folder / name.replace(" ", "-").replace(",", "")
    run_folder.mkdir(parents=True)
    config, catalog = run_folder / "config.json", run_folder / "catalog.json"
    config.write_text(json.dumps(own_settings))
    catalog_document = json.loads(subprocess.run([*command, "--config", str(config), "--discover"], check=True,
                                      capture_output=True).stdout)  # fmt: skip
    config.write_text(json.dumps({**own_settings, **(settings or {})}))
    for stream in catalog_document["streams"]:
        for entry in stream["metadata"]:
            if not entry["breadcrumb"]:
                entry["metadata"]["selected"] = stream["tap_stream_id"] in (streams or STREAMS[part.kind])
            elif entry["breadcrumb"][-1] in without:
                entry["metadata"]["selected"] = False
    catalog.write_text(json.dumps(catalog_document))
    return Variant(name, (*command, "--config", str(config), "--catalog", str(catalog)), folder=output)
