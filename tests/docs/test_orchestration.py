"""The page on orchestration shows what the command prints, and its way without Meltano works."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Final

from tap_cdp_export.cli.partitions import Partitions
from tests.helpers.about import ROOT
from tests.helpers.configurations import config
from tests.helpers.running import run_tap, vendor
from tests.whole_tap.conftest import NOW, small_sandbox

PAGE: Final = (ROOT / "docs" / "orchestration.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The blocks of the page in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_the_sample_line_is_what_the_command_prints() -> None:
    (sample,) = blocks("json")
    settings = {**config("braze", segment_ids=["0d5a7c1e"]), "start_date": "2025-01-01", "end_date": "2025-07-01"}
    (piece,) = Partitions().find(settings, timedelta(days=7), parse_env=False)
    assert json.loads(piece.line()) == json.loads(sample)


def test_the_files_for_a_run_without_meltano_are_accepted(tmp_path: Path) -> None:
    (code,) = blocks("python")
    with small_sandbox() as sandbox:
        settings = {**vendor(sandbox.settings(), "apsis"), "start_date": "2026-10-31T12:00:00Z", "end_date": NOW}
        (tmp_path / "config.json").write_text(json.dumps(settings))
        commands = {"tap-cdp-export": "tap_cdp_export", "tap-cdp-export-partitions": "tap_cdp_export.cli.partitions"}
        for name, module in commands.items():
            script = tmp_path / name
            script.write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
            script.chmod(0o755)
        environment = {**os.environ, "PATH": os.pathsep.join([str(tmp_path), os.environ["PATH"]])}
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
        first, last = sorted(tmp_path.glob("*.config.json"))
        streams = []
        for file in (first, last):
            catalog = json.loads(Path(str(file).replace(".config.", ".catalog.")).read_text())
            run = run_tap(json.loads(file.read_text()), catalog=catalog)
            assert run.exit_code == 0, run.log
            streams.append({message["stream"] for message in run.messages if message["type"] == "RECORD"})
    assert streams == [{"apsis_events"}, {"apsis_events", "apsis_profiles"}]


def test_the_page_names_the_files_of_the_examples() -> None:
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "examples").rglob("*") if path.is_file()}
    named = {name.removeprefix("../") for name in re.findall(r"\]\((\.\./examples/[^)]+)\)", PAGE)}
    assert named == {name for name in files if "__pycache__" not in name}
