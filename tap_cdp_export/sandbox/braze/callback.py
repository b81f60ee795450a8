"""Calls the webhook of an export."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import msgspec

_SECONDS = 5


async def post_json(url: str, content: dict[str, Any]) -> None:
    """POST a JSON object to an HTTP URL; errors are ignored."""
    parts = urlsplit(url)
    body = msgspec.json.encode(content)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = (
        f"POST {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_SECONDS):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
            try:
                writer.write(head.encode() + body)
                await writer.drain()
                await reader.readline()
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
