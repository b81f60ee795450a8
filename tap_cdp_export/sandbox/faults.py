"""Faults: middleware that answers the requests of the fault plan wrongly."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from tap_cdp_export.sandbox.request_log import ENTRY

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from tap_cdp_export.sandbox.options import Fault, Options
    from tap_cdp_export.sandbox.request_log import Entry

_LOGIN_PAGE = "<!DOCTYPE html><html><head><title>Log in</title></head><body><form>Log in</form></body></html>"
_TRICKLE_BYTES = 256  # bytes sent at a time by a trickle


class ConnectionCut(Exception):
    """Makes the server close the connection, after sending `last` unframed."""

    def __init__(self, last: bytes = b"") -> None:
        """Close the connection after these raw bytes."""
        super().__init__()
        self.last = last


class Faults:
    """ASGI middleware that applies the fault plan to the requests it matches."""

    def __init__(self, app: ASGIApp, options: Options) -> None:
        """Read the fault plan from these options at each request."""
        self._app = app
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or answer it with a fault."""
        entry: Entry | None = scope.get(ENTRY)
        fault = next((fault for fault in self._options.faults if _matches(fault, entry)), None) if entry else None
        send = _DateHeader(send, fault.clock_ahead if fault else 0)
        if entry is None or fault is None:
            await self._app(scope, receive, send)
            return
        entry.fault = fault.kind
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        if fault.kind in ("slow", "cut", "trickle"):
            await self._app(scope, receive, send if fault.kind == "slow" else _SpoiledBody(fault, send))
            return
        if fault.kind in ("unframed", "part"):
            response = _RawResponse(fault)
            await self._app(scope, receive, response)
            entry.status, raw = response.raw()
            raise ConnectionCut(raw)
        if fault.answer_lost:
            await self._app(scope, receive, _discard)
        if fault.kind == "drop":
            raise ConnectionCut
        await _error_response(fault, entry.vendor)(scope, receive, send)


def _matches(fault: Fault, entry: Entry | None) -> bool:
    """Return True if the fault applies to this request; counts the requests that match."""
    if entry is None or fault.method not in ("", entry.method) or not re.search(fault.path, entry.path):
        return False
    fault.seen += 1
    return fault.seen > fault.skip and (not fault.times or fault.seen <= fault.skip + fault.times)


async def _discard(_message: Message) -> None:
    """Discard a message of a response that the client must not get."""


def _error_response(fault: Fault, vendor: str) -> Response:
    headers = dict(fault.headers)
    if fault.retry_after is not None:
        retry_time = datetime.now(UTC) + timedelta(seconds=fault.clock_ahead + fault.retry_after)
        headers["retry-after"] = (
            format_datetime(retry_time, usegmt=True) if fault.retry_after_date else str(fault.retry_after)
        )
    if fault.kind == "html":
        return Response(_LOGIN_PAGE, 200, headers, "text/html; charset=utf-8")
    if fault.body:
        return Response(fault.body, fault.status, headers, "text/plain")
    if vendor == "apsis":
        problem = {"title": "Planned fault", "status": fault.status, "detail": "The sandbox was told to answer so."}
        return Response(msgspec.json.encode(problem), fault.status, headers, "application/problem+json")
    if vendor == "braze":
        return Response(b'{"message":"Planned fault"}', fault.status, headers, "application/json")
    return Response("Planned fault", fault.status, headers, "text/plain")


class _DateHeader:
    """Adds the `Date` header, `ahead` seconds ahead of this machine's clock."""

    def __init__(self, send: Send, ahead: int) -> None:
        self._send = send
        self._ahead = timedelta(seconds=ahead)

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            date = format_datetime(datetime.now(UTC) + self._ahead, usegmt=True).encode()
            message = {**message, "headers": [*message["headers"], (b"date", date)]}
        await self._send(message)


class _RawResponse:
    """Collects a response into raw HTTP bytes, which are sent without the framing of the server."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], message["headers"]
        else:
            self._body += message.get("body", b"")

    def raw(self) -> tuple[int, bytes]:
        """Return the status and the bytes of the whole response."""
        is_part, body = self._fault.kind == "part", self._body[: self._fault.after_bytes]
        status = 206 if is_part else self._status
        headers = [pair for pair in self._headers if pair[0].lower() not in (b"content-length", b"transfer-encoding")]
        headers += [(name.encode(), value.encode()) for name, value in self._fault.headers.items()]
        headers.append((b"connection", b"close"))
        if is_part:
            content_range = b"bytes 0-%d/%d" % (len(body) - 1, len(self._body))
            headers += [(b"content-length", b"%d" % len(body)), (b"content-range", content_range)]
        lines = [b"HTTP/1.1 %d Planned" % status, *(name + b": " + value for name, value in headers), b"", body]
        return status, b"\r\n".join(lines)


class _SpoiledBody:
    """Sends the beginning of a body unchanged, and the rest slowly or not at all."""

    def __init__(self, fault: Fault, send: Send) -> None:
        self._fault = fault
        self._send = send
        self._bytes_before_fault = fault.after_bytes

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._send({**message, "headers": self._headers(message["headers"])})
            return
        body: bytes = message.get("body", b"")
        unchanged, rest = body[: self._bytes_before_fault], body[self._bytes_before_fault :]
        self._bytes_before_fault -= len(unchanged)
        if self._fault.kind == "cut" and rest:
            await self._send({**message, "body": unchanged, "more_body": not self._fault.clean})
            raise ConnectionCut
        await self._send({**message, "body": unchanged, "more_body": bool(rest) or message.get("more_body", False)})
        for start in range(0, len(rest), _TRICKLE_BYTES):
            await asyncio.sleep(self._fault.seconds)
            more_body = start + _TRICKLE_BYTES < len(rest) or message.get("more_body", False)
            await self._send({**message, "body": rest[start : start + _TRICKLE_BYTES], "more_body": more_body})

    def _headers(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Drop Content-Length for a clean cut, or replace it by `declared_length`."""
        declared_length = self._fault.declared_length
        if self._fault.kind != "cut" or not (self._fault.clean or declared_length is not None):
            return headers
        other_headers = [(name, value) for name, value in headers if name.lower() != b"content-length"]
        return (
            other_headers
            if declared_length is None
            else [*other_headers, (b"content-length", str(declared_length).encode())]
        )
