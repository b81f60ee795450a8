"""Log of every request that the sandbox has received, in order and without credentials."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field
from starlette.requests import Request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LARGEST_BODY = 1_000_000
_CREDENTIALS = frozenset({"client_id", "client_secret", "api_key"})
ENTRY = "sandbox.entry"  # key of the request's log entry in the ASGI scope
BODY = "sandbox.body"  # key of the request's body


class Entry(Struct):
    """One request and its response."""

    number: int
    vendor: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any = None
    status: int = 0
    bytes: int = 0
    job: str | None = None
    fault: str | None = None


class RequestLog(Struct):
    """All entries, and the highest numbers of what was open at the same time: exports by segment, and requests."""

    log: list[Entry] = field(default_factory=list)
    most_open: dict[str, int] = field(default_factory=dict)
    most_at_once: int = 0
    last_number: int = 0
    _open: Counter[str] = field(default_factory=Counter)
    _at_once: int = 0

    def entries(self, *, vendor: str | None = None, method: str | None = None, path: str | None = None) -> list[Entry]:
        """Entries with this vendor, this method and a path that starts with `path`."""
        return [
            entry
            for entry in list(self.log)
            if (vendor is None or entry.vendor == vendor)
            and (method is None or entry.method == method)
            and (path is None or entry.path.startswith(path))
        ]

    def count(self, *, vendor: str | None = None, method: str | None = None, path: str | None = None) -> int:
        """Number of the entries that `entries` returns."""
        return len(self.entries(vendor=vendor, method=method, path=path))

    def clear(self) -> None:
        """Remove all entries; numbering continues."""
        self.log.clear()
        self.most_open.clear()
        self.most_at_once = 0

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Count a request as open."""
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            self._at_once -= 1

    def export_opened(self, segment: str) -> None:
        """Count an export of a segment as open."""
        self._open[segment] += 1
        self.most_open[segment] = max(self.most_open.get(segment, 0), self._open[segment])

    def export_closed(self, segment: str) -> None:
        """Count an export of a segment as closed: ready, failed or cancelled."""
        self._open[segment] -= 1


class Recorder:
    """ASGI middleware that reads the whole body, logs the request, and puts both into the scope."""

    def __init__(self, app: ASGIApp, request_log: RequestLog, *, storage: bool) -> None:
        """Record the requests to `app`; with `storage`, all of them belong to Braze."""
        self._app = app
        self._request_log = request_log
        self._storage = storage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record one request, except for those to `/_sandbox/`."""
        request = Request(scope, receive)
        if scope["path"].startswith("/_sandbox/"):
            await self._app(scope, receive, send)
            return
        body = b""
        async for chunk in request.stream():
            body += chunk[: _LARGEST_BODY - len(body)]
        self._request_log.last_number += 1
        entry = Entry(
            number=self._request_log.last_number,
            vendor="braze" if self._storage else vendor_of(scope["path"]),
            method=request.method,
            path=scope["path"],
            query=dict(request.query_params),
            headers=_headers(request),
            body=_without_credentials(body),
        )
        self._request_log.log.append(entry)
        scope[ENTRY], scope[BODY] = entry, body

        async def count(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry.status = message["status"]
            else:
                entry.bytes += len(message.get("body", b""))
            await send(message)

        with self._request_log.answering():
            await self._app(scope, receive, count)


def entry_of(request: Request) -> Entry:
    """Log entry of the request."""
    entry: Entry = request.scope[ENTRY]
    return entry


def body_of(request: Request) -> bytes:
    """Body of the request."""
    body: bytes = request.scope[BODY]
    return body


def vendor_of(path: str) -> str:
    """Vendor that a path belongs to."""
    if path.startswith("/api/dataset"):
        return "personalization"
    return "apsis" if path.startswith(("/oauth/", "/audience/", "/v2/audience/")) else "braze"


def _headers(request: Request) -> dict[str, str]:
    """Headers to log; of Authorization only the scheme."""
    headers = {
        name: request.headers[name]
        for name in ("accept", "accept-encoding", "content-type", "user-agent")
        if name in request.headers
    }
    if "authorization" in request.headers:
        headers["authorization"] = request.headers["authorization"].split(" ")[0]
    return headers


def _without_credentials(body: bytes) -> Any:  # noqa: ANN401 - whatever JSON the client sent
    try:
        parsed = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    if isinstance(parsed, dict):
        return {name: value for name, value in parsed.items() if name not in _CREDENTIALS}
    return parsed
