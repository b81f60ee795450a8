"""Minimal clients of the three vendors, for the tests of the sandbox."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import msgspec
import requests

if TYPE_CHECKING:
    from tap_cdp_export.sandbox.server import Sandbox

SECONDS = 10
NOW = "2026-06-15T12:00:00Z"
START, END = "2026-05-20T00:00:00Z", NOW
FIELDS = ["braze_id", "email"]


class Client:
    """Sends requests to a sandbox, with the credentials of its settings."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.settings = sandbox.settings()
        self.session = requests.Session()
        self.session.trust_env = False
        self._token: str | None = None

    def get(self, path: str, **arguments: Any) -> requests.Response:
        url = path if path.startswith("http") else self.sandbox.api_url + path
        return self.session.get(url, timeout=SECONDS, **arguments)

    def post(self, path: str, **arguments: Any) -> requests.Response:
        return self.session.post(self.sandbox.api_url + path, timeout=SECONDS, **arguments)

    # Personalization

    def dataset(self, file: str = "users.json", *, dataset: str = "engage", **params: Any) -> requests.Response:
        settings = self.settings["personalization"]
        return self.get(
            f"/api/dataset/{dataset}/{file}", params=params, auth=(settings["api_key_id"], settings["api_key_secret"])
        )

    def pages(self, file: str = "users.json", *, size: int, **params: Any) -> list[list[dict[str, Any]]]:
        """Read all pages before the first empty one."""
        pages: list[list[dict[str, Any]]] = []
        while page := self.dataset(file, page=len(pages), pageSize=size, **params).json():
            pages.append(page)
        return pages

    # APSIS One

    def request_token(self, **changes: Any) -> requests.Response:
        settings = self.settings["apsis"]
        body = {
            "grant_type": "client_credentials",
            "client_id": settings["client_id"],
            "client_secret": settings["client_secret"],
        }
        return self.post("/oauth/token", json={**body, **changes})

    def bearer(self) -> dict[str, str]:
        if self._token is None:
            self._token = self.request_token().json()["access_token"]
        return {"authorization": f"Bearer {self._token}"}

    def apsis_body(self, **changes: Any) -> dict[str, Any]:
        """Build the default request body; None removes a field."""
        settings = self.settings["apsis"]
        body = {name: settings[name] for name in ("attributes", "tags", "events")}
        body.update({"start_at": START, "end_at": END, **changes})
        return {name: value for name, value in body.items() if value is not None}

    def request_export(self, **changes: Any) -> requests.Response:
        return self.post("/audience/profiles/exports", json=self.apsis_body(**changes), headers=self.bearer())

    def export_url(self, **changes: Any) -> str:
        url: str = self.request_export(**changes).json()["file_download_url"]
        return url

    def poll(self, url: str, encoding: str = "identity", **arguments: Any) -> requests.Response:
        return self.get(url, headers={**self.bearer(), "accept-encoding": encoding}, **arguments)

    def export_file(self, **changes: Any) -> dict[str, Any]:
        """Request an export and return its profiles."""
        self.sandbox.options.apsis.polls_before_ready = 0
        profiles: dict[str, Any] = self.poll(self.export_url(**changes)).json()["profiles"]
        return profiles

    # Braze

    @property
    def segment(self) -> str:
        return str(self.settings["braze"]["segment_ids"][0])

    def braze(self, path: str, body: Any = None, **arguments: Any) -> requests.Response:
        headers = {"authorization": f"Bearer {self.settings['braze']['api_key']}", **arguments.pop("headers", {})}
        return self.post(path, json=body, headers=headers, **arguments)

    def request_segment_export(self, **changes: Any) -> requests.Response:
        body = {"segment_id": self.segment, "fields_to_export": FIELDS, **changes}
        return self.braze("/users/export/segment", {name: value for name, value in body.items() if value is not None})

    def archive(self, **changes: Any) -> bytes:
        """Request an export and return its archive."""
        self.sandbox.options.braze.polls_before_ready = 0
        answer = self.get(self.request_segment_export(**changes).json()["url"])
        assert answer.status_code == 200
        return answer.content

    def users(self, **changes: Any) -> list[dict[str, Any]]:
        """Request an export and return its users, in order."""
        return [msgspec.json.decode(line) for text in unzip(self.archive(**changes)).values() for line in lines(text)]


def unzip(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def lines(text: bytes) -> list[bytes]:
    return [line for line in text.split(b"\n") if line]
