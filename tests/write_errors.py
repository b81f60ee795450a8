"""`python -m tests.write_errors`: write the table of errors in `docs/errors.md`, from runs against failing vendors."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import random
import re
from pathlib import Path
from typing import Any, Final

import click
import pytest
import requests
import requests_mock

from tap_cdp_export.cli.command import TapCommand
from tap_cdp_export.tap import TapCDPExport
from tests.helpers.archives import zipped
from tests.helpers.configurations import APSIS_URL, BRAZE_URL, PERSONALIZATION_URL, config
from tests.helpers.virtual_clock import VirtualClock

PAGE: Final = Path(__file__).parent.parent / "docs" / "errors.md"
SECRET: Final = "canary-secret-0123456789abcdef"
BODY: Final = {
    "message": f"the vendor's own reason, with {SECRET} and anna@shop.example",
    "data": "canary of a customer",
}

_USERS: Final = f"{PERSONALIZATION_URL}/api/dataset/engage/users.json"
_TOKEN: Final = f"{APSIS_URL}/oauth/token"
_EXPORTS: Final = f"{APSIS_URL}/audience/profiles/exports"
_POLL: Final = f"{APSIS_URL}/audience/profiles/exports/1"
_BRAZE: Final = f"{BRAZE_URL}/users/export/segment"
_ARCHIVE: Final = f"{BRAZE_URL}/archive-of-this-export.zip"
_CSV_PAGE: Final = "Personalization: a page in CSV"
_CSV: Final = {"format": "csv"}
_PATTERN: Final = {"attributes": ["*"]}
_REQUESTS: Final[dict[str, tuple[str, dict[str, Any], str, str]]] = {
    "Personalization: a page": ("personalization", {}, "GET", _USERS),
    _CSV_PAGE: ("personalization", _CSV, "GET", _USERS.replace(".json", ".csv")),
    "APSIS One: a token": ("apsis", {}, "POST", _TOKEN),
    "APSIS One: definitions": ("apsis", _PATTERN, "GET", f"{APSIS_URL}/audience/sections"),
    "APSIS One: an export": ("apsis", {}, "POST", _EXPORTS),
    "APSIS One: a poll": ("apsis", {}, "GET", _POLL),
    "Braze: the list of segments": ("braze", {"segment_ids": ["*"]}, "GET", f"{BRAZE_URL}/segments/list"),
    "Braze: an export": ("braze", {}, "POST", _BRAZE),
    "Braze: a cancellation": ("braze", {"on_conflict": "cancel"}, "POST", f"{BRAZE_URL}/export/segment/cancel"),
    "Braze: the archive": ("braze", {}, "GET", _ARCHIVE),
}
_BUSY: Final = {"status_code": 429, "json": {"message": "already in progress"}}
_STATUSES: Final = (302, 400, 401, 403, 404, 410, 429, 500, 503)


def _answer(status: int, body: bytes) -> dict[str, Any]:
    return {"status_code": status, "content": body, "headers": {"Content-Length": str(len(body))}}


_ANSWERS: Final[dict[str, dict[str, Any]]] = {
    **{str(status): _answer(status, json.dumps(BODY).encode()) for status in _STATUSES},
    "200, other JSON": _answer(200, json.dumps(BODY).encode()),
    "200, no JSON": _answer(200, b"canary"),
    "200, a web page": _answer(200, b"<!DOCTYPE html><title>canary</title>"),
    "no connection": {"exc": requests.ConnectionError},
    "no answer in time": {"exc": requests.ReadTimeout},
    "TLS": {"exc": requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED")},
}
_HEAD: Final = """# Errors

The last line of the log for each answer that is an error: what happened, the vendor's own reason, what to do, and the
exit code ([what it means](state.md#exit-codes)). This table is made by `python -m tests.write_errors`, which lets a
stub answer each request this way until the tap gives up; waits show as N.

| request | answer | last line of the log |
|---|---|---|
"""


def last_line(vendor: str, changes: dict[str, Any], method: str, url: str, answer: dict[str, Any]) -> str:
    """Run the tap against a stub whose answer to one request is an error, and return the last line of its log.

    The line is empty if the run succeeds, as it does after any 2xx to a cancellation.
    """
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("tests.write_errors")
    logger.propagate = False
    logger.handlers = [handler]

    def run() -> None:
        tap = TapCDPExport(config=config(vendor, **changes))
        for stream in tap.streams.values():
            stream.selected = stream.name in {"users", "apsis_profiles", "braze_users"}
        tap.run()

    command = TapCommand.of(click.Command("tap", callback=run), logger=logger)
    with (
        pytest.MonkeyPatch.context() as patches,
        requests_mock.Mocker() as stub,
        contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), write_through=True)),
        contextlib.suppress(SystemExit),
    ):
        VirtualClock().install(patches)
        random.seed(0)
        stub.post(_TOKEN, json={"access_token": "token", "expires_in": 3600})
        stub.post(_EXPORTS, json={"file_download_url": _POLL})
        stub.post(_BRAZE, [_BUSY, {"json": {"message": "success", "url": _ARCHIVE}}])
        stub.get(_ARCHIVE, content=zipped({}))
        stub.request(method, url, **answer)
        command.main([])
    return re.sub(r"\b[0-9.]+ s\b", "N s", lines[-1]) if lines else ""


def table() -> str:
    """Build the page."""
    rows = [
        f"| {request} | {answer} | {line} |"
        for request, where in _REQUESTS.items()
        for answer, what in _ANSWERS.items()
        if (request != _CSV_PAGE or answer.startswith("200"))  # its other answers are those of a page
        and (line := last_line(*where, what))
    ]
    return _HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(table())
