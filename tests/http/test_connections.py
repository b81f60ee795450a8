"""Names are resolved in another thread: the system's resolver would keep a signal waiting."""

from __future__ import annotations

import signal
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
import requests
from urllib3.exceptions import NameResolutionError

from tap_cdp_export.errors import Interrupted, VendorUnavailable
from tap_cdp_export.http.client import ApiRequest, HttpClient
from tap_cdp_export.http.connections import InterruptibleAdapter, addresses
from tap_cdp_export.signals import STOP
from tests.helpers.loopback import LoopbackServer, cut, with_length

if TYPE_CHECKING:
    from tests.helpers.virtual_clock import VirtualClock

SECONDS = 20.0


def send(url: str, *, starts_job: bool = False) -> bytes:
    client = HttpClient("Vendor", deadline_seconds=SECONDS, trust_environment=False)
    request = ApiRequest("POST", url, what="x", is_idempotent=not starts_job, starts_job=starts_job)
    return client.send(request, lambda _answer, chunks: b"".join(chunks))


@pytest.mark.parametrize("starts_job", [False, True])
def test_a_signal_ends_a_request_whose_name_is_being_resolved(
    monkeypatch: pytest.MonkeyPatch, *, starts_job: bool
) -> None:
    ended = threading.Event()
    threads: list[threading.Thread] = []
    main = threading.main_thread().ident or 0

    def resolve(*_args: object, **_options: object) -> Any:
        threads.append(threading.current_thread())
        signal.pthread_kill(main, signal.SIGTERM)
        ended.wait(SECONDS)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    STOP.install()
    try:
        with pytest.raises(Interrupted):
            send("http://api.test/x", starts_job=starts_job)
        assert threads
        assert threads[0] is not threading.main_thread()
        assert not ended.is_set()
    finally:
        ended.set()


def test_names_resolve_and_unknown_ones_are_told_as_before(
    monkeypatch: pytest.MonkeyPatch, clock: VirtualClock
) -> None:
    with LoopbackServer(cut(with_length(b"here"))) as server:
        assert send(server.url.replace("127.0.0.1", "localhost")) == b"here"

    def fail(*_args: object, **_options: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(VendorUnavailable, match=r"the name api\.test does not resolve"):
        send("http://api.test/x")
    assert len(clock.pauses) == 2


def test_the_name_of_a_proxy_is_resolved_so_too(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fail(host: str, *_args: object, **_options: object) -> Any:
        asked.append(f"{host} {threading.current_thread().name}")
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with requests.Session() as session:
        session.mount("https://", InterruptibleAdapter())
        with pytest.raises(requests.exceptions.ProxyError) as failure:
            session.get("https://api.test/x", proxies={"https": "http://proxy.test:3128"})
    assert asked == ["proxy.test resolve"]
    assert isinstance(failure.value.args[0].reason.original_error, NameResolutionError)


def test_addresses_of_this_machine() -> None:
    assert addresses("127.0.0.1") == ["127.0.0.1"]
    assert addresses("[::1]") == ["::1"]
    with pytest.raises(UnicodeError):
        addresses("rest..host")
