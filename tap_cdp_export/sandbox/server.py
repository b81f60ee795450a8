"""The sandbox server: three vendors on two loopback ports, in a thread of this process."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from tap_cdp_export.sandbox.admin import Admin
from tap_cdp_export.sandbox.apsis import definitions
from tap_cdp_export.sandbox.apsis.server import Apsis
from tap_cdp_export.sandbox.braze import export_users
from tap_cdp_export.sandbox.braze.exports import Exports
from tap_cdp_export.sandbox.braze.server import Braze
from tap_cdp_export.sandbox.braze.storage import BrazeStorage
from tap_cdp_export.sandbox.clock import DAY, moment_of
from tap_cdp_export.sandbox.faults import ConnectionCut, Faults
from tap_cdp_export.sandbox.options import Options
from tap_cdp_export.sandbox.personalization import export_users as personalization
from tap_cdp_export.sandbox.personalization.server import Personalization
from tap_cdp_export.sandbox.population import Population
from tap_cdp_export.sandbox.request_log import Recorder, RequestLog, vendor_of
from tap_cdp_export.sandbox.responses import json_response

if TYPE_CHECKING:
    from types import TracebackType

    from starlette.requests import Request
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send

_LOGGING_OFF = logging.CRITICAL + 1
_FIRST_DAYS = 28


class Sandbox:
    """Simulates the three vendors on two loopback ports: their APIs, and Braze's storage."""

    def __init__(self, options: Options | None = None, *, port: int = 0, storage_port: int = 0) -> None:
        """Bind both ports; 0 picks a free one.

        Args:
            options: Options; they may be changed at run time.
            port: Port of the three APIs.
            storage_port: Port of the host that serves Braze's archives.
        """
        self.options = options or Options()
        self.population = Population(self.options)
        self.request_log = RequestLog()
        self._api_socket = _bind(port)
        try:
            self._storage_socket = _bind(storage_port)
        except OSError:
            self._api_socket.close()
            raise
        self.api_url = _url(self._api_socket)
        self.storage_url = _url(self._storage_socket)
        self._servers: list[_Server] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._serving: asyncio.Future[list[None]] | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server."""
        self.stop()

    def start(self) -> None:
        """Start the server thread; returns when both ports accept requests."""
        exports = Exports(self.options, self.population, self.request_log)
        api = [
            *Personalization(self.options, self.population).routes(),
            *Apsis(self.options, self.population).routes(),
            *Braze(self.options, exports, self.storage_url, self.population).routes(),
            *Admin(self.options, self.population, self.request_log).routes(),
        ]
        storage = BrazeStorage(self.options, exports, self.storage_url).routes()
        self._servers = [
            _Server(self._app(api, storage=False), self._api_socket),
            _Server(self._app(storage, storage=True), self._storage_socket),
        ]
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)
        self._thread.start()
        while not all(server.started for server in self._servers):
            if not self._thread.is_alive():
                raise RuntimeError("the sandbox did not start")
            time.sleep(0.001)

    def stop(self) -> None:
        """Close both ports and all connections; further calls do nothing."""
        if self._thread is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._cancel)
            self._thread.join()
            self._thread = None
        self._api_socket.close()
        self._storage_socket.close()

    def settings(self) -> dict[str, Any]:
        """Complete settings with which the tap reads all three vendors from this sandbox."""
        options = self.options
        midnight = (self.population.now() // DAY - _FIRST_DAYS) * DAY
        polling = {"poll_initial_seconds": 0.05, "poll_max_seconds": 0.5}
        return {
            "personalization": {
                "base_url": self.api_url,
                "dataset_ids": list(personalization.DATASETS),
                "api_key_id": options.personalization.api_key_id,
                "api_key_secret": options.personalization.api_key_secret,
                "segments": [segment.name for segment in personalization.SEGMENTS],
            },
            "apsis": {
                "base_url": self.api_url,
                "client_id": options.apsis.client_id,
                "client_secret": options.apsis.client_secret,
                "attributes": definitions.items(definitions.ATTRIBUTES),
                "tags": definitions.items(definitions.TAGS),
                "events": definitions.items(definitions.EVENTS),
                "requests_per_minute": 600,
                **polling,
            },
            "braze": {
                "base_url": self.api_url,
                "api_key": options.braze.api_key,
                "segment_ids": [segment.identifier for segment in export_users.DEFAULT_SEGMENTS],
                **polling,
            },
            "start_date": f"{moment_of(midnight):%Y-%m-%dT%H:%M:%SZ}",
        }

    def _app(self, routes: list[BaseRoute], *, storage: bool) -> ASGIApp:
        app = Starlette(routes=routes, exception_handlers={HTTPException: _not_found, Exception: _internal_error})
        app.router.redirect_slashes = False
        return _Guard(Recorder(Faults(app, self.options), self.request_log, storage=storage))

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._serving = asyncio.gather(*(server.serve_until_cancelled() for server in self._servers))
        with suppress(asyncio.CancelledError):
            await self._serving

    def _cancel(self) -> None:
        if self._serving is not None:
            self._serving.cancel()


class _Server(uvicorn.Server):
    """uvicorn server on a bound socket, without logging and without a graceful shutdown period."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level=_LOGGING_OFF,  # connections that are cut on purpose would be logged as errors
                access_log=False,
                server_header=False,
                date_header=False,  # `Faults` adds it, from a clock that may be ahead
                proxy_headers=False,
            )
        )
        self._listener = listener

    async def serve_until_cancelled(self) -> None:
        """Serve until cancelled, then close every connection, even in the middle of a response."""
        try:
            await self.serve(sockets=[self._listener])
        finally:
            for server in self.servers:
                server.close()
            for connection in list(self.server_state.connections):
                connection.transport.abort()


class _Guard:
    """Outermost ASGI middleware: closes the connection, without logging, when a response cannot be completed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except ConnectionCut as cut:
            await _cut(send, cut.last)
        except Exception:  # noqa: BLE001 - cut on purpose, or an error whose response has begun
            await _cut(send)


async def _cut(send: Send, last: bytes = b"") -> None:
    """Send raw bytes and close the connection; `send` is a method of uvicorn's cycle, which holds the transport."""
    transport = send.__self__.transport  # type: ignore[attr-defined]
    transport.write(last)
    while transport.get_write_buffer_size():  # noqa: ASYNC110 -- else uvicorn appends its own response
        await asyncio.sleep(0.001)
    transport.close()
    await asyncio.sleep(0)


async def _internal_error(_request: Request, error: Exception) -> Response:
    """Answer a bug of the sandbox with a 500 and the traceback."""
    return PlainTextResponse("".join(traceback.format_exception(error)), 500)


async def _not_found(request: Request, error: Exception) -> Response:
    """Answer a wrong path or method in the error format of the vendor that the path belongs to."""
    status, text = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, str(error))
    vendor = vendor_of(request.scope["path"])
    if vendor == "apsis":
        problem = {"title": text, "status": status, "detail": text}
        return json_response(problem, status, media_type="application/problem+json")
    return PlainTextResponse(text, status) if vendor == "personalization" else json_response({"message": text}, status)


def _bind(port: int) -> socket.socket:
    # asyncio disables Nagle's algorithm (40 ms per response) only if the socket names its protocol.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise
    return listener


def _url(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"
