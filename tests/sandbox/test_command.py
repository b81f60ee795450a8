from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import requests

from tap_cdp_export.sandbox.command import main
from tap_cdp_export.sandbox.options import Options, PopulationOptions
from tap_cdp_export.sandbox.population import Population
from tests.sandbox.clients import END, NOW, START

if TYPE_CHECKING:
    from pathlib import Path

    from tap_cdp_export.sandbox.server import Sandbox


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_command_serves_until_a_signal_and_writes_the_settings_first(tmp_path: Path, end: signal.Signals) -> None:
    path = tmp_path / "settings.json"
    code = "import sys; from tap_cdp_export.sandbox.command import main; sys.exit(main())"
    arguments = ["--users", "50", "--now", NOW, "--options", '{"apsis": {"pretty": true}}', "--settings", str(path)]
    with subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        settings = json.loads(path.read_text())
        url = settings["apsis"]["base_url"]
        assert url in line
        options = requests.get(f"{url}/_sandbox/options", timeout=5).json()
        assert options["population"]["users"] == 50
        assert options["apsis"]["pretty"] is True
        process.send_signal(end)
        assert process.wait(5) == 0


def test_counts_option_prints_the_row_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--users", "100", "--seed", "8", "--now", NOW, "--counts", START, END]) == 0
    population = Population(Options(population=PopulationOptions(users=100, seed=8, now=NOW)))
    assert json.loads(capsys.readouterr().out) == population.counts(start=START, end=END)


@pytest.mark.parametrize(
    "arguments", [["--options", '{"misspelt": 1}'], ["--now", "soon"], ["--counts", "then", "now"]]
)
def test_wrong_arguments_are_reported_on_stderr(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "tap-cdp-export-sandbox: " in capsys.readouterr().err


def test_a_port_in_use_is_reported_on_stderr(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", sandbox.api_url.rpartition(":")[2]]) == 1
    assert "in use" in capsys.readouterr().err
