"""A server on a loopback port that sends raw bytes, and closes or resets connections."""

from __future__ import annotations

import socket
import struct
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Answer = Callable[[socket.socket], None]

_PATIENCE_SECONDS = 10.0


def cut(data: bytes) -> Answer:
    """Send bytes and close the connection without an error."""
    return lambda connection: connection.sendall(data)


def reset(data: bytes) -> Answer:
    """Send bytes, wait until the client has them, then reset the connection."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(data)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return answer


def in_pieces(pieces: Sequence[bytes], gate: threading.Semaphore) -> Answer:
    """Send pieces one by one, each after the semaphore is released."""

    def answer(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            if not gate.acquire(timeout=_PATIENCE_SECONDS):
                return
            try:
                connection.sendall(piece)
            except OSError:  # the client has closed the connection
                return

    return answer


def with_length(body: bytes, *, announced: int | None = None, headers: str = "") -> bytes:
    """Build a response; `announced` overrides its Content-Length."""
    length = len(body) if announced is None else announced
    return f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n".encode() + body


class LoopbackServer:
    """Sends the answers in order, one per connection; the last answer is repeated.

    Attributes:
        requests: bytes of each complete request, head and body.
        received: bytes of incomplete requests.
    """

    def __init__(self, *answers: Answer, host: str = "127.0.0.1") -> None:
        self._answers = list(answers)
        self.requests: list[bytes] = []
        self.received = b""
        self._listener = socket.create_server((host, 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        """The server's origin."""
        return "http://{}:{}".format(*self._listener.getsockname())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(_PATIENCE_SECONDS)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # the listener was shut down
                return
            with connection:
                connection.settimeout(_PATIENCE_SECONDS)
                request, is_whole = _read_request(connection)
                if not is_whole:
                    self.received += request
                else:
                    self.requests.append(request)
                    number = min(len(self.requests), len(self._answers)) - 1
                    self._answers[number](connection)


def _read_request(connection: socket.socket) -> tuple[bytes, bool]:
    """Read a request; return its bytes, and whether it is complete."""
    data = b""
    while b"\r\n\r\n" not in data:
        try:
            piece = connection.recv(65536)
        except OSError:
            piece = b""
        if not piece:
            return data, False
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().splitlines():
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
            while len(body) < length:
                body += connection.recv(65536)
    return head + b"\r\n\r\n" + body, True
