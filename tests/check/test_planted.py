"""Answers full of values, names, addresses and secrets leave none of them in the report and the table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from tap_cdp_export.sandbox.options import Fault, Options, PopulationOptions
from tap_cdp_export.sandbox.server import Sandbox
from tests.helpers.running import run_forked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXTS: Final = (
    "Annika Svensson",
    "annikasvensson",
    "AnnikaSvensson",
    "annika_svensson",
    "annika.svensson@planted.example",
    "https://planted.example/annika?token=c0ffee0417",
    "planted.example",
    "3f2b8a70-0417-4a4a-9b9b-c0ffeec0ffee",
    "c0ffee0417c0ffee",
    "9041704170",
    "1984-04-17T04:17:04.170Z",
    "+46 70 417 04 17",
    "usercreated.sections.planted-0417abcdef",
)
NUMBER: Final = 41_704_170_417
FRACTION: Final = 417.0417
VALUES: Final = (*TEXTS, str(NUMBER), str(FRACTION))
HEADERS: Final = {
    "content-type": "application/json",
    "x-annika-svensson": "planted.example",
    "etag": "c0ffee0417c0ffee",
    "server": "annikasvensson",
}
NAMED: Final = (
    *("name", "id", "discriminator", "displayName", "emailAddress", "segments", "title", "detail", "message", "label"),
    *("data_type", "status", "custom_attributes", "created_from", "tags", "versions", "location", "next_page"),
)


def planted() -> dict[str, Any]:
    """An object with every value as a key and as a value, at documented names too."""
    inner = {text: [text, NUMBER, {text: FRACTION}] for text in TEXTS}
    return {**dict.fromkeys(TEXTS, inner), **{name: TEXTS[n % len(TEXTS)] for n, name in enumerate(NAMED)}}


def answered(path: str, document: Any, *, status: int = 200, times: int = 0, method: str = "") -> Fault:
    body = document if isinstance(document, str) else json.dumps(document)
    return Fault(path=path, method=method, status=status, times=times, body=body, headers=HEADERS)


def successes(api_url: str) -> list[Fault]:
    """Answers that lead the check through all its requests."""
    definition = {**planted(), "discriminator": TEXTS[-1], "versions": [{"id": "9041704170", **planted()}]}
    file = {
        "profiles": {text: {"sections": {text: {"attributes": planted(), "events": [planted()]}}} for text in TEXTS}
    }
    export = {
        "file_download_url": f"{api_url}/audience/profiles/exports/c0ffee0417c0ffee?key=annikasvensson",
        **planted(),
    }
    pages = [{"name": text, **planted()} for text in TEXTS]
    return [
        answered(r"\.json$", pages),
        answered(r"\.csv$", f"name,{TEXTS[0]},{TEXTS[4]}\n{','.join(TEXTS[:3])}\n"),
        answered("/oauth/token", {"access_token": "c0ffee0417c0ffee", **planted()}),
        answered("/audience/profiles/exports$", export, status=201),
        answered("/audience/profiles/exports/", planted(), status=404, times=1),
        answered("/audience/profiles/exports/", {**file, **planted()}),
        answered("/audience/", {"items": [definition], **planted()}),
        answered("/users/export/segment$", planted(), status=400, times=1),
        answered("/segments/list$", {"segments": [planted()], **planted()}),
        answered("/campaigns/list$", {"campaigns": [planted()]}),
        answered("/product_list$", {"products": list(TEXTS)}),
        answered("/custom_attributes$", {"attributes": [planted()]}),
        answered("/canvas/list$", {"canvases": [planted()]}),
        answered("/events/list$", {"events": list(TEXTS)}),
        answered("/events$", {"events": [planted()]}),
        answered("/details$", {**planted(), "messages": {TEXTS[7]: planted()}, "steps": [planted()]}),
        answered("/canvas/data_series$", {"data": {**planted(), "stats": [{"variant_stats": planted()}]}}),
        answered("data_series$|_series$", {"data": [{"messages": {TEXTS[2]: [planted()]}, **planted()}]}),
        answered("/email/", {"emails": [{"email": TEXTS[4], **planted()}]}),
        answered("/sms/", {"sms": [{"phone": TEXTS[-2], **planted()}]}),
        answered(r"\.zip$", planted(), status=403, times=1),
    ]


def refusals(status: int) -> list[Fault]:
    """A refusal with planted text for everything."""
    return [answered("/oauth/token", {"access_token": TEXTS[3]}), answered("", planted(), status=status)]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    options = Options(population=PopulationOptions(users=100, companies=10))
    options.braze.raw_line = json.dumps({"braze_id": TEXTS[3], "apps": [planted()], **planted()})
    with Sandbox(options) as running:
        yield running


def run(sandbox: Sandbox, tmp_path: Path, *options: str) -> tuple[int, dict[str, Any], str]:
    """Run the whole command; give its exit code, the report, and what it printed with the report's text."""
    settings = sandbox.settings()
    settings["personalization"]["dataset_ids"] = [TEXTS[1]]
    settings["apsis"] |= {"attributes": [{TEXTS[3]: TEXTS[4]}], "segment_filter": {TEXTS[1]: TEXTS[0]}}
    config, report = tmp_path / "config.json", tmp_path / "report.json"
    config.write_text(json.dumps(settings))
    arguments = ["--config", str(config), "--report", str(report), *options]
    process = run_forked("tap_cdp_export.cli.check", arguments)
    text = report.read_text(encoding="utf-8")
    return process.returncode, json.loads(text), text + process.stdout.decode()


def leaves(settings: Any) -> Iterator[str]:
    if isinstance(settings, dict | list):
        for inner in settings.values() if isinstance(settings, dict) else settings:
            yield from leaves(inner)
    elif isinstance(settings, str) and len(settings) > len("engage"):
        yield settings


def assert_nothing_is_given_away(sandbox: Sandbox, text: str) -> None:
    storage_tokens = [entry.path.strip("/") for entry in sandbox.request_log.entries(method="GET", path="/")]
    tokens = [path for path in storage_tokens if path.endswith(".zip")]
    vendors = [settings for settings in sandbox.settings().values() if isinstance(settings, dict)]
    for value in (*VALUES, *leaves(vendors), *tokens, *(token.removesuffix(".zip") for token in tokens)):
        assert value.lower() not in text.lower()
        assert json.dumps(value)[1:-1].lower() not in text.lower()


def test_no_planted_value_is_in_the_report(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.options.faults = successes(sandbox.api_url)
    code, report, text = run(sandbox, tmp_path, "--export")
    assert code == 0
    assert_nothing_is_given_away(sandbox, text)
    for name, vendor in report["vendors"].items():
        shapes = [json.dumps(request.get("shape", {})) for request in vendor["requests"]]
        assert vendor["reached"] is True
        assert vendor["exports"] == 1, name
        assert any("{email}" in shape and "{uuid}" in shape for shape in shapes), name
    assert any(".zip" in entry.path for entry in sandbox.request_log.log)


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500])
def test_no_planted_reason_is_in_the_report(sandbox: Sandbox, tmp_path: Path, status: int) -> None:
    sandbox.options.faults = refusals(status)
    code, report, text = run(sandbox, tmp_path, "--export")
    assert code == 0
    assert_nothing_is_given_away(sandbox, text)
    for vendor in report["vendors"].values():
        assert {request["status"] for request in vendor["requests"]} == {status}
        assert vendor["exports"] == 0
        assert set(vendor["rights"].values()) - {
            "granted" if status == 400 else "refused" if status == 403 else "not told"
        } <= {"granted"}


def test_a_planted_value_in_a_report_would_be_found(sandbox: Sandbox) -> None:
    for value in (*VALUES, sandbox.api_url, "sandbox-api-key"):
        with pytest.raises(AssertionError):
            assert_nothing_is_given_away(sandbox, json.dumps({"shape": {f"items[].{value}": ["text"]}}))
