"""A server of parts: the vendors' paths and formats with prepared bodies, identical for every client.

Run as a program, it binds a free loopback port, prints its URL, and serves until it is terminated.
Personalization answers uncompressed, in one piece up to 5,000 records and in chunks beyond, as the sandbox does.
An export of APSIS One or Braze is ready at once, because waiting would measure nothing.
"""

from __future__ import annotations

import json
import mmap
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.benchmarks.data import MARK, SEGMENT, Part, mark

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from starlette.requests import Request

_LARGEST_WHOLE: Final = 5_000
_CHUNK: Final = 64 * 1024
_POLL: Final = "/audience/profiles/exports/1"
_ARCHIVE: Final = "/archive/1.zip"


class _Pages:
    """The users in one format, optionally repeated."""

    def __init__(self, part: Part) -> None:
        *self._pages, self._end = [file.read_bytes() for file in part.files()]
        self._number = len(self._pages) * max(1, part.repeats)
        self._is_marked = part.repeats > 0
        self._in_chunks = part.page > _LARGEST_WHOLE
        self._media_type = "application/json" if part.kind == "users" else "text/csv"

    async def answer(self, request: Request) -> Response:
        number = int(request.query_params.get("page", 0))
        body = self._end
        if number < self._number:
            repetition, place = divmod(number, len(self._pages))
            body = self._pages[place]
            if self._is_marked:
                body = body.replace(MARK, mark(repetition))
        if self._in_chunks:
            return StreamingResponse(_chunks(body), media_type=self._media_type)
        return Response(body, media_type=self._media_type)


async def _chunks(body: bytes | mmap.mmap) -> AsyncIterator[bytes]:
    for start in range(0, len(body), _CHUNK):
        yield bytes(body[start : start + _CHUNK])


class _File:
    """A file that is sent unchanged."""

    def __init__(self, part: Part, headers: dict[str, str]) -> None:
        (path,) = part.files()
        with path.open("rb") as file:
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._headers = headers

    async def answer(self, request: Request) -> Response:
        encoding = self._headers.get("content-encoding")
        if encoding and encoding not in request.headers.get("accept-encoding", ""):
            return Response("Only packed.", 406)
        return StreamingResponse(_chunks(self._bytes), 200, self._headers)


def _url(request: Request, path: str) -> str:
    return str(request.base_url).rstrip("/") + path


async def _token(_request: Request) -> Response:
    return JSONResponse({"access_token": "token", "expires_in": 86_400, "token_type": "Bearer"})


async def _ask_apsis(request: Request) -> Response:
    return JSONResponse({"file_download_url": _url(request, _POLL)}, 201)


async def _ask_braze(request: Request) -> Response:
    return JSONResponse({"object_prefix": "1", "url": _url(request, _ARCHIVE), "message": "success"}, 201)


async def _list_segments(_request: Request) -> Response:
    return JSONResponse({"message": "success", "segments": [{"id": SEGMENT, "name": "All"}]})


def application(parts: Sequence[Part]) -> Starlette:
    """Make the application.

    Args:
        parts: what it serves, one of a kind at most.

    Returns:
        ASGI.
    """
    routes = [
        Route("/oauth/token", _token, methods=["POST"]),
        Route("/audience/profiles/exports", _ask_apsis, methods=["POST"]),
        Route("/users/export/segment", _ask_braze, methods=["POST"]),
        Route("/segments/list", _list_segments),
    ]
    for part in parts:
        if part.kind == "apsis":
            headers = {"content-encoding": "gzip", "content-type": "application/json", "vary": "Accept-Encoding"}
            routes.append(Route(_POLL, _File(part, headers).answer))
        elif part.kind == "braze":
            routes.append(Route(_ARCHIVE, _File(part, {"content-type": "application/zip"}).answer))
        else:
            suffix = "json" if part.kind == "users" else "csv"
            routes.append(Route(f"/api/dataset/{{dataset}}/users.{suffix}", _Pages(part).answer))
    return Starlette(routes=routes)


@contextmanager
def serving(*parts: Part) -> Iterator[str]:
    """Serve parts from a separate process; missing parts are generated first.

    Args:
        parts: what to serve, one of a kind at most.

    Yields:
        The base URL, without a trailing slash.
    """
    for part in parts:
        part.ensure()
    parts_json = json.dumps([part.__dict__ for part in parts])
    command = [sys.executable, "-m", "tests.benchmarks.server", parts_json]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            url = server.stdout.readline().strip() if server.stdout else ""
            if not url:
                raise RuntimeError("the benchmarks' server did not start")
            yield url
        finally:
            server.terminate()


def main(parts_json: str) -> None:
    """Serve until the process is terminated.

    Args:
        parts_json: the parts, as JSON.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named, or asyncio delays answers
    bound.bind(("127.0.0.1", 0))
    bound.listen()
    app = application([Part(**part) for part in json.loads(parts_json)])
    config = uvicorn.Config(app, http="h11", ws="none", lifespan="off", log_level="critical", access_log=False)
    sys.stdout.write(f"http://127.0.0.1:{bound.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(config).run(sockets=[bound])


if __name__ == "__main__":
    main(sys.argv[1])
