"""The simplest target: one file per stream, one line per record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.targets.loaded import FIRST_END, KEYS
from tests.targets.meltano_project import MeltanoProject, as_environment
from tests.targets.shop import settings_of, shop

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.meltano
def test_every_row_is_a_line_in_the_file_of_its_stream(
    project: MeltanoProject, expected_first: dict[str, int], tmp_path: Path
) -> None:
    with shop(FIRST_END) as sandbox:
        variables = as_environment(settings_of(sandbox, FIRST_END))
        project.run("target-jsonl", TARGET_JSONL_DESTINATION_PATH=str(tmp_path), **variables)
    found = {}
    for stream, keys in KEYS.items():
        records = [json.loads(line) for line in (tmp_path / f"{stream}.jsonl").read_text().splitlines()]
        found[stream] = len({tuple(record[key] for key in keys) for record in records})
    assert found == expected_first
