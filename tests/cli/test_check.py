"""The command says beforehand what it asks, asks for an export only if it may, and ends with the tap's exit codes."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from click.testing import CliRunner

from tap_cdp_export.check.facts import Unknown
from tap_cdp_export.check.vendor_check import VendorCheck
from tap_cdp_export.cli.check import FirstContact, command
from tap_cdp_export.config.settings import settings_schema
from tap_cdp_export.errors import CredentialsRefused, LocalFailure, VendorUnavailable
from tap_cdp_export.tap import TapCDPExport
from tests.helpers.checking import check
from tests.helpers.running import vendor
from tests.vendors import weather
from tests.whole_tap.conftest import small_sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tap_cdp_export.check.observer import Observer
    from tap_cdp_export.vendors.vendor import Vendor
    from tests.helpers.virtual_clock import VirtualClock

BASE_URL = "https://198.51.100.8"
SETTINGS = {"weather": {"base_url": BASE_URL, "token": "sunshine-token", "stations": ["north"]}}
EXPORTS = ("/audience/profiles/exports", "/users/export/segment")


def contact(ask: Any, *names: str) -> FirstContact:
    """The check of vendors of these names, which are asked so."""
    declared = VendorCheck((Unknown("weather.x", "It rains."),), frozenset(), ("1 reading",), ("1 export",), ask)
    others = [dataclasses.replace(weather.VENDOR, name=name, check=declared) for name in names or ("weather",)]

    class Tap(TapCDPExport):
        vendors: ClassVar[tuple[Vendor, ...]] = tuple(others)
        config_jsonschema: ClassVar[dict[str, Any]] = settings_schema(other.property for other in others)

    class Contact(FirstContact):
        tap_class: ClassVar[type[TapCDPExport]] = Tap

    return Contact()


@pytest.mark.parametrize("may_export", [False, True])
def test_it_says_beforehand_what_it_asks_for(capsys: pytest.CaptureFixture[str], *, may_export: bool) -> None:
    said = []

    def ask(_client: Any, _settings: Mapping[str, Any], observer: Observer) -> None:
        said.append(capsys.readouterr().out)
        assert observer.may_export is may_export

    contact(ask).run(SETTINGS, parse_env=False, may_export=may_export, report_file=None)
    last = "  with --export: 1 export" if may_export else "  no export; --export allows one"
    assert said[0].splitlines() == ["weather will be asked for:", "  1 reading", last]
    assert "open        weather.x: It rains." in capsys.readouterr().out


def test_a_vendor_that_fails_does_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    errors = iter([VendorUnavailable("No answer."), CredentialsRefused("Not you.", status=401)])

    def ask(_client: Any, _settings: Mapping[str, Any], observer: Observer) -> None:
        observer.record("weather.x", holds=True)
        if error := next(errors, None):
            raise error

    names = ("first", "second", "third")
    report = tmp_path / "report.json"
    with pytest.raises(VendorUnavailable, match="No answer") as caught:
        contact(ask, *names).run(
            dict.fromkeys(names, SETTINGS["weather"]), parse_env=False, may_export=False, report_file=report
        )
    assert (caught.value.streams, caught.value.others) == (("first",), ("second",))
    vendors = json.loads(report.read_text())["vendors"]
    found = [(vendor["reached"], vendor["failure"], vendor["exit_code"]) for vendor in vendors.values()]
    assert found == [(False, "VendorUnavailable", 13), (True, "CredentialsRefused", 11), (False, "", 0)]
    assert vendors["third"]["facts"]["weather.x"]["outcome"] == "confirmed"
    assert "first: not reached, but see the log (exit 13)" in capsys.readouterr().out


def test_a_report_that_cannot_be_written_is_a_local_failure(tmp_path: Path) -> None:
    with pytest.raises(LocalFailure, match="The report cannot be written: No such file"):
        contact(lambda *_: None).run(
            SETTINGS, parse_env=False, may_export=False, report_file=tmp_path / "missing" / "report.json"
        )


def test_no_export_is_asked_for_unless_it_may() -> None:
    with small_sandbox() as sandbox:
        report = check(sandbox.settings(), may_export=False)
        posts = [entry for path in EXPORTS for entry in sandbox.request_log.entries(method="POST", path=path)]
        assert [(entry.status, entry.job) for entry in posts] == [(400, None)]  # the one without a segment
        assert {vendor["exports"] for vendor in report["vendors"].values()} == {0}
        sandbox.request_log.clear()
        report = check(sandbox.settings(), may_export=True)
        posts = [entry for path in EXPORTS for entry in sandbox.request_log.entries(method="POST", path=path)]
        assert len([entry for entry in posts if entry.job]) == 2
        assert {vendor["exports"] for vendor in report["vendors"].values()} == {1}


def test_the_announced_number_of_requests_is_not_exceeded() -> None:
    with small_sandbox() as sandbox:
        report = check(sandbox.settings(), may_export=False)
        counted = [entry for entry in sandbox.request_log.entries(path="/api/dataset/") if entry.status == 200]
    counts = {name: len(vendor["requests"]) for name, vendor in report["vendors"].items()}
    assert counts == {"personalization": 9, "apsis": 7, "braze": 27}
    first_pages = [int(entry.query["pageSize"]) for entry in counted if entry.query["page"] == "0"]
    assert sum(first_pages) == 14


@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        ({}, 10, "no vendor is configured"),
        ({"braze": {}}, 10, "setting braze.api_key is missing"),
        (
            {"apsis": {"client_id": "a", "client_secret": "b", "attributes": [{}], "shoe": 1}},
            10,
            "unknown setting apsis.shoe",
        ),
    ],
)
def test_settings_are_checked_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, settings: dict[str, Any], code: int, words: str
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(settings))
    result = CliRunner().invoke(command, ["--config", str(tmp_path / "config.json")])
    assert result.exit_code == code
    assert words in caplog.text


def test_wrong_credentials_end_with_11_and_the_report_is_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with small_sandbox() as sandbox:
        settings = vendor(sandbox.settings(), "apsis", client_secret="not-the-secret")
        config, report = tmp_path / "config.json", tmp_path / "report.json"
        config.write_text(json.dumps(settings))
        result = CliRunner().invoke(command, ["--config", str(config), "--report", str(report)])
    assert result.exit_code == 11, result.output
    assert "apsis: APSIS One gives no token (401)" in caplog.text
    assert "not-the-secret" not in result.output + caplog.text + report.read_text()
    assert json.loads(report.read_text())["vendors"]["apsis"]["reached"] is True


def test_a_host_that_does_not_answer_is_asked_only_once(clock: VirtualClock) -> None:
    with small_sandbox() as sandbox:
        settings = sandbox.settings()
    before = clock.paused  # by the start of the sandbox
    report = check(vendor(settings, "braze"))["vendors"]["braze"]
    assert (report["reached"], report["failure"], report["exit_code"]) == (False, "VendorUnavailable", 13)
    assert report["requests"] == [{"request": "the list of segments", "failure": "VendorUnavailable"}]
    assert clock.paused - before < 61
