"""A body is read until its deadline at most, even if no more bytes arrive."""

from __future__ import annotations

import socket
import threading
import time

import pytest
import requests

from tap_cdp_export.errors import IncompleteAnswer
from tap_cdp_export.http.responses import body
from tests.helpers.loopback import LoopbackServer


@pytest.mark.parametrize("header", [b"", b"Connection: close\r\n"])
def test_a_silent_body_is_read_until_the_deadline_only(monkeypatch: pytest.MonkeyPatch, header: bytes) -> None:
    timeouts: list[float] = []
    set_timeout = socket.socket.settimeout
    is_over = threading.Event()

    def set_short_timeout(connection: socket.socket, seconds: float) -> None:
        timeouts.append(seconds)
        set_timeout(connection, 0.01)

    def fall_silent(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n%b\r\nbegun" % header)
        is_over.wait(10)

    with LoopbackServer(fall_silent) as server:
        with requests.get(server.url, stream=True, timeout=300) as response:
            monkeypatch.setattr(socket.socket, "settimeout", set_short_timeout)
            with pytest.raises(IncompleteAnswer):
                list(body(response, deadline=time.monotonic() + 7))
            monkeypatch.undo()
        is_over.set()
    assert timeouts[-1] == pytest.approx(7, abs=1)
    assert len(timeouts) == 2  # before the first read, and before the one that times out
