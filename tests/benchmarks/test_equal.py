"""The plain tap is a valid baseline only while its records equal this tap's."""

from __future__ import annotations

import gzip
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.benchmarks.data import Part
from tests.benchmarks.processes import measure, records
from tests.benchmarks.server import serving
from tests.benchmarks.taps import CHILDREN, OURS, PLAIN, RIGHT, STREAMS, variant

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.processes import Variant

pytestmark = pytest.mark.benchmarks
pytest.importorskip("ijson")


def _records(command: Variant) -> dict[str, list[Any]]:
    """Run a tap and return its records by stream, sorted."""
    output = subprocess.run(command.command, capture_output=True, check=True).stdout
    texts_by_stream: dict[str, list[str]] = {}
    for message in map(json.loads, output.splitlines()):
        if message["type"] == "RECORD":
            texts_by_stream.setdefault(message["stream"], []).append(json.dumps(message["record"], sort_keys=True))
    return {stream: sorted(texts) for stream, texts in texts_by_stream.items()}


@pytest.mark.parametrize(
    "part",
    [
        Part("users", 2_000, 1_000),
        Part("csv", 2_000, 1_000),
        Part("apsis", 1),
        Part("braze", 1_000, 500),
        Part("users", 1_000, 500, repeats=2),
        Part("apsis", 1, repeats=2),
    ],
    ids=lambda part: f"{part.kind}-{part.repeats}",
)
def test_the_plain_tap_emits_what_the_tap_emits(part: Part, tmp_path: Path) -> None:
    with serving(part) as url:
        ours, plain = (_records(variant(name, part, url, tmp_path)) for name in (OURS, PLAIN))

    assert set(ours) == set(STREAMS[part.kind])
    assert ours == plain


def test_the_plain_tap_emits_the_tables_of_lists_that_the_tap_emits(tmp_path: Path) -> None:
    part = Part("braze", 1_000, 500)
    with serving(part) as url:
        ours, plain = (_records(variant(name, part, url, tmp_path, streams=CHILDREN)) for name in (OURS, PLAIN))

    assert set(ours) == set(CHILDREN)
    assert ours == plain


def test_a_multiplied_part_has_no_record_twice(tmp_path: Path) -> None:
    part = Part("braze", 1_000, 500, repeats=2)

    with serving(part) as url:
        users = _records(variant(OURS, part, url, tmp_path))["braze_users"]

    keys = {json.loads(record)["braze_id"] for record in users}
    assert {key[:8] for key in keys} == {"~000000~", "~000001~"}
    assert len(keys) == 2 * len({key[8:] for key in keys})


def test_a_run_is_timed_and_its_records_are_counted(tmp_path: Path) -> None:
    part = Part("users", 2_000, 1_000)

    with serving(part) as url:
        command = variant(OURS, part, url, tmp_path)

        assert records(command) == 2_000
        assert measure(command).seconds > 0


def test_the_files_put_right_hold_what_the_files_of_the_tap_hold(tmp_path: Path) -> None:
    part = Part("users", 2_000, 1_000)
    maps = {"users": {"email_address": "__NULL__", "initial": "name[0]"}}
    records_by_tap = {}

    with serving(part) as url:
        for name in (OURS, RIGHT):
            files = tmp_path / "files" / name.replace(" ", "-")
            settings: dict[str, Any] = {
                "stream_maps": maps,
                "batch_config": {
                    "encoding": {"format": "jsonl", "compression": "gzip"},
                    "storage": {"root": files.as_uri()},
                },
            }
            if name == RIGHT:
                settings["right_batches"] = True
            command = variant(name, part, url, tmp_path, settings=settings, without=("segments",), output=files)
            assert records(command) == 2_000
            rows = [line for file in files.iterdir() for line in gzip.decompress(file.read_bytes()).splitlines()]
            records_by_tap[name] = sorted(json.dumps(json.loads(row), sort_keys=True) for row in rows)

    assert records_by_tap[OURS] == records_by_tap[RIGHT]
    assert all("initial" in row and "segments" not in row for row in records_by_tap[OURS])
