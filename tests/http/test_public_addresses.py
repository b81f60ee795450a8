"""A download never connects to a private network, in any form of its address."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tap_cdp_export.errors import UnusableAnswer
from tap_cdp_export.http.public_addresses import PublicAddressAdapter, is_private_host, is_public
from tests.helpers.loopback import LoopbackServer, cut, with_length

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize("address", ["8.8.8.8", "52.216.8.1", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",  # noqa: S104 -- an address to refuse
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "198.51.100.7",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fec0::1",
        "::7f00:1",
        "100::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "2001:db8::1",
        "192.88.99.1",
        "198.18.0.1",
        "240.0.0.1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2001:0:5ef5:79fd::1",
    ],
)
def test_private_and_disguised_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


def resolving_to(*addresses: str) -> Any:
    return lambda *_args, **_options: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 0)) for a in addresses]


@pytest.mark.parametrize(
    ("addresses", "is_private"),
    [(["10.0.0.1"], True), (["10.0.0.1", "::1"], True), (["8.8.8.8"], False), (["8.8.8.8", "10.0.0.1"], False)],
)
def test_a_host_is_private_if_none_of_its_addresses_is_public(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str], *, is_private: bool
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolving_to(*addresses))
    assert is_private_host("https://api.test/x") is is_private


def test_a_host_that_does_not_resolve_is_not_private(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert not is_private_host("https://api.test/x")


@pytest.fixture
def public_session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        for scheme in ("http://", "https://"):
            session.mount(scheme, PublicAddressAdapter())
        yield session


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "[::ffff:127.0.0.1]"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_form_of_a_loopback_address_receives_a_byte(
    public_session: requests.Session, scheme: str, host: str
) -> None:
    with LoopbackServer(cut(with_length(b"caught"))) as server:
        port = server.url.rpartition(":")[2]
        with pytest.raises((UnusableAnswer, requests.RequestException)) as refusal:
            public_session.get(f"{scheme}://{host}:{port}/secret", timeout=5)
        assert server.requests == []
        assert server.received == b""
    assert host in {"localhost", "0", "[::ffff:127.0.0.1]"} or isinstance(refusal.value, UnusableAnswer)


def test_a_name_that_resolves_to_loopback_receives_no_byte(
    public_session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LoopbackServer(cut(with_length(b"caught"))) as server:
        port = int(server.url.rpartition(":")[2])
        loopback = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: loopback)
        with pytest.raises(UnusableAnswer) as refusal:
            public_session.get(f"http://storage.test:{port}/secret", timeout=5)
        assert server.received == b""
    assert "storage" not in str(refusal.value)
    assert refusal.value.exit_code == 12
