"""A fourth vendor is one package and one line: settings, checks, secrets, streams and errors follow from it."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from click.testing import CliRunner

from tap_cdp_export.config.settings import settings_schema
from tap_cdp_export.tap import VENDORS, TapCDPExport
from tests.helpers.configurations import config
from tests.vendors import weather

if TYPE_CHECKING:
    from pathlib import Path

    from requests_mock import Mocker

    from tap_cdp_export.vendors.vendor import Vendor

BASE_URL = "https://198.51.100.8"
SETTINGS = {"base_url": BASE_URL, "token": "sunshine-token", "stations": ["north", "south"]}


class FourVendorTap(TapCDPExport):
    """The tap with one line more."""

    vendors: ClassVar[tuple[Vendor, ...]] = (*VENDORS, weather.VENDOR)
    config_jsonschema: ClassVar[dict[str, Any]] = settings_schema(vendor.property for vendor in vendors)


@pytest.fixture
def run(tmp_path: Path) -> Any:
    def invoke(settings: dict[str, Any], *options: str) -> tuple[int, list[Any], str]:
        path = tmp_path / "config.json"
        path.write_text(json.dumps(settings))
        logging.getLogger().handlers.clear()
        result = CliRunner().invoke(FourVendorTap.get_singer_command(), ["--config", str(path), *options])
        lines = [json.loads(line) for line in result.stdout.splitlines() if line.startswith('{"')]
        return result.exit_code, lines, result.output

    return invoke


def test_a_fourth_vendor_runs_to_the_end(requests_mock: Mocker, run: Any) -> None:
    requests_mock.get(f"{BASE_URL}/north", json={"degrees": -3.5, "wind": "strong"})
    requests_mock.get(f"{BASE_URL}/south", json={"degrees": 21})
    code, messages, _ = run({"weather": SETTINGS})
    assert code == 0
    records = [message["record"] for message in messages if message["type"] == "RECORD"]
    assert records == [
        {"station": "north", "degrees": -3.5, "extra": {"wind": "strong"}},
        {"station": "south", "degrees": 21, "extra": None},
    ]
    assert messages[-1]["type"] == "STATE"
    assert requests_mock.request_history[0].headers["Authorization"] == "Bearer sunshine-token"


def test_it_runs_beside_the_others(run: Any) -> None:
    everything = {**config("personalization"), **config("apsis"), **config("braze"), "weather": SETTINGS}
    code, _, output = run(everything, "--discover")
    assert code == 0
    streams = {stream["tap_stream_id"] for stream in json.loads(output[output.index("{\n") :])["streams"]}
    assert streams >= {"users", "apsis_events", "braze_users", "weather_readings"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"stations": []}, "setting weather.stations must name at least one"),
        ({"base_url": "ftp://x"}, "setting weather.base_url must be an http or https URL"),
        ({"city": "x"}, "unknown setting weather.city"),
        ({"token": None}, "setting weather.token is missing: Bearer token"),
    ],
)
def test_its_settings_are_checked(run: Any, changes: dict[str, Any], problem: str) -> None:
    code, _, output = run({"weather": {**SETTINGS, **changes}})
    assert code == 10
    assert problem in output


def test_its_secrets_stay_out_of_the_log_and_its_refusals_are_told(requests_mock: Mocker, run: Any) -> None:
    requests_mock.get(f"{BASE_URL}/north", status_code=403, json={"message": "no right for sunshine-token"})
    code, _, output = run({"weather": SETTINGS})
    assert code == 11
    assert "weather_readings: Weather answered 403" in output
    assert "no right for (redacted)" in output
    assert "sunshine-token" not in output


def test_about_and_the_error_for_no_vendor_name_it(run: Any) -> None:
    about = run({}, "--about", "--format=json")[2]
    described = json.loads(about[about.index("{\n") :])["settings"]["properties"]["weather"]["properties"]
    assert described["token"]["description"] == "Bearer token."
    code, _, output = run({})
    assert code == 10
    assert "personalization, apsis, braze, weather" in output
