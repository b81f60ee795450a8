"""The plainest clients of the three vendors, for the sandbox's own tests."""

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
    """Talks to one sandbox with the credentials of its settings."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.settings = sandbox.settings()
        self.session = requests.Session()
        self.session.trust_env = False
        self._token: str | None = None

    def get(self, path: str, **more: Any) -> requests.Response:
        url = path if path.startswith("http") else self.sandbox.api_url + path
        return self.session.get(url, timeout=SECONDS, **more)

    def post(self, path: str, **more: Any) -> requests.Response:
        return self.session.post(self.sandbox.api_url + path, timeout=SECONDS, **more)

    # Personalization

    def dataset(self, file: str = "users.json", *, dataset: str = "engage", **params: Any) -> requests.Response:
        mine = self.settings["personalization"]
        return self.get(
            f"/api/dataset/{dataset}/{file}", params=params, auth=(mine["api_key_id"], mine["api_key_secret"])
        )

    def pages(self, file: str = "users.json", *, size: int, **params: Any) -> list[list[dict[str, Any]]]:
        """All pages up to the first empty one."""
        found: list[list[dict[str, Any]]] = []
        while page := self.dataset(file, page=len(found), pageSize=size, **params).json():
            found.append(page)
        return found

    # APSIS One

    def ask_token(self, **changes: Any) -> requests.Response:
        mine = self.settings["apsis"]
        body = {
            "grant_type": "client_credentials",
            "client_id": mine["client_id"],
            "client_secret": mine["client_secret"],
        }
        return self.post("/oauth/token", json={**body, **changes})

    def bearer(self) -> dict[str, str]:
        if self._token is None:
            self._token = self.ask_token().json()["access_token"]
        return {"authorization": f"Bearer {self._token}"}

    def apsis_body(self, **changes: Any) -> dict[str, Any]:
        """The default request; a change to None leaves the field out."""
        mine = self.settings["apsis"]
        body = {name: mine[name] for name in ("attributes", "tags", "events")}
        body.update({"start_at": START, "end_at": END, **changes})
        return {name: value for name, value in body.items() if value is not None}

    def ask_export(self, **changes: Any) -> requests.Response:
        return self.post("/audience/profiles/exports", json=self.apsis_body(**changes), headers=self.bearer())

    def export_url(self, **changes: Any) -> str:
        url: str = self.ask_export(**changes).json()["file_download_url"]
        return url

    def poll(self, url: str, encoding: str = "identity", **more: Any) -> requests.Response:
        return self.get(url, headers={**self.bearer(), "accept-encoding": encoding}, **more)

    def export_file(self, **changes: Any) -> dict[str, Any]:
        """The profiles of a finished export."""
        self.sandbox.options.apsis.polls_before_ready = 0
        profiles: dict[str, Any] = self.poll(self.export_url(**changes)).json()["profiles"]
        return profiles

    # Braze

    @property
    def segment(self) -> str:
        return str(self.settings["braze"]["segment_ids"][0])

    def braze(self, path: str, body: Any = None, **more: Any) -> requests.Response:
        headers = {"authorization": f"Bearer {self.settings['braze']['api_key']}", **more.pop("headers", {})}
        return self.post(path, json=body, headers=headers, **more)

    def ask_segment(self, **changes: Any) -> requests.Response:
        body = {"segment_id": self.segment, "fields_to_export": FIELDS, **changes}
        return self.braze("/users/export/segment", {name: value for name, value in body.items() if value is not None})

    def archive(self, **changes: Any) -> bytes:
        """The bytes of a finished export."""
        self.sandbox.options.braze.polls_before_ready = 0
        answer = self.get(self.ask_segment(**changes).json()["url"])
        assert answer.status_code == 200
        return answer.content

    def users(self, **changes: Any) -> list[dict[str, Any]]:
        """The users of a finished export, in order."""
        return [msgspec.json.decode(line) for text in unzip(self.archive(**changes)).values() for line in lines(text)]


def unzip(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def lines(text: bytes) -> list[bytes]:
    return [line for line in text.split(b"\n") if line]
