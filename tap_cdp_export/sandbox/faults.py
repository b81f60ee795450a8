"""The fault plan: requests that are answered wrongly on purpose."""

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
_SLIVER = 256  # bytes that trickle at a time


class ConnectionCut(Exception):
    """Makes the server close the connection in the middle of an answer, or behind bytes of its own."""

    def __init__(self, last: bytes = b"") -> None:
        """Close it behind these bytes, which no server frames."""
        super().__init__()
        self.last = last


class Faults:
    """ASGI: spoils the requests that the plan names."""

    def __init__(self, app: ASGIApp, options: Options) -> None:
        """Read the plan from these options, at each request."""
        self._app = app
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand one request on, or spoil it."""
        entry: Entry | None = scope.get(ENTRY)
        fault = next((fault for fault in self._options.faults if _strikes(fault, entry)), None) if entry else None
        send = _Dated(send, fault.clock_ahead if fault else 0)
        if entry is None or fault is None:
            await self._app(scope, receive, send)
            return
        entry.fault = fault.kind
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        if fault.kind in ("slow", "cut", "trickle"):
            await self._app(scope, receive, send if fault.kind == "slow" else _Spoiled(fault, send))
            return
        if fault.kind in ("unframed", "part"):
            answer = _Collected(fault)
            await self._app(scope, receive, answer)
            entry.status, raw = answer.raw()
            raise ConnectionCut(raw)
        if fault.answer_lost:
            await self._app(scope, receive, _swallow)
        if fault.kind == "drop":
            raise ConnectionCut
        await _answer(fault, entry.vendor)(scope, receive, send)


def _strikes(fault: Fault, entry: Entry | None) -> bool:
    """Whether this request is one of those the fault is meant for; counts them."""
    if entry is None or fault.method not in ("", entry.method) or not re.search(fault.path, entry.path):
        return False
    fault.seen += 1
    return fault.seen > fault.skip and (not fault.times or fault.seen <= fault.skip + fault.times)


async def _swallow(_message: Message) -> None:
    """Where an answer goes that the client never gets."""


def _answer(fault: Fault, vendor: str) -> Response:
    headers = dict(fault.headers)
    if fault.retry_after is not None:
        later = datetime.now(UTC) + timedelta(seconds=fault.clock_ahead + fault.retry_after)
        headers["retry-after"] = (
            format_datetime(later, usegmt=True) if fault.retry_after_date else str(fault.retry_after)
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


class _Dated:
    """Adds the `Date` header, from a clock that may be ahead."""

    def __init__(self, send: Send, ahead: int) -> None:
        self._send = send
        self._ahead = timedelta(seconds=ahead)

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            date = format_datetime(datetime.now(UTC) + self._ahead, usegmt=True).encode()
            message = {**message, "headers": [*message["headers"], (b"date", date)]}
        await self._send(message)


class _Collected:
    """Collects an answer, to be sent past the server: its bytes as they are to stand on the wire."""

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
        """The status, and the whole answer."""
        is_part, body = self._fault.kind == "part", self._body[: self._fault.after_bytes]
        status = 206 if is_part else self._status
        headers = [pair for pair in self._headers if pair[0].lower() not in (b"content-length", b"transfer-encoding")]
        headers += [(name.encode(), value.encode()) for name, value in self._fault.headers.items()]
        headers.append((b"connection", b"close"))
        if is_part:
            span = b"bytes 0-%d/%d" % (len(body) - 1, len(self._body))
            headers += [(b"content-length", b"%d" % len(body)), (b"content-range", span)]
        lines = [b"HTTP/1.1 %d Planned" % status, *(name + b": " + value for name, value in headers), b"", body]
        return status, b"\r\n".join(lines)


class _Spoiled:
    """Sends the beginning of an answer as it is, and the rest slowly or not at all."""

    def __init__(self, fault: Fault, send: Send) -> None:
        self._fault = fault
        self._send = send
        self._left = fault.after_bytes

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._send({**message, "headers": self._headers(message["headers"])})
            return
        body: bytes = message.get("body", b"")
        whole, rest = body[: self._left], body[self._left :]
        self._left -= len(whole)
        if self._fault.kind == "cut" and rest:
            await self._send({**message, "body": whole, "more_body": not self._fault.clean})
            raise ConnectionCut
        await self._send({**message, "body": whole, "more_body": bool(rest) or message.get("more_body", False)})
        for start in range(0, len(rest), _SLIVER):
            await asyncio.sleep(self._fault.seconds)
            more = start + _SLIVER < len(rest) or message.get("more_body", False)
            await self._send({**message, "body": rest[start : start + _SLIVER], "more_body": more})

    def _headers(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """A clean cut declares no length; another cut declares the length it was told to."""
        declared = self._fault.declared_length
        if self._fault.kind != "cut" or not (self._fault.clean or declared is not None):
            return headers
        kept = [(name, value) for name, value in headers if name.lower() != b"content-length"]
        return kept if declared is None else [*kept, (b"content-length", str(declared).encode())]
