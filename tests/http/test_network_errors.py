"""Whoever cannot be reached is named, with the cause and what to check."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.errors import SettingsError, UnusableAnswer, VendorUnavailable
from tap_cdp_export.http.client import ApiRequest, HttpClient
from tests.helpers.loopback import LoopbackServer, cut

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.virtual_clock import VirtualClock


def failure_of(url: str, **options: Any) -> Exception:
    client = HttpClient("Vendor", deadline_seconds=900, **options)
    with pytest.raises((SettingsError, VendorUnavailable, UnusableAnswer)) as failure:
        client.send(ApiRequest("GET", url, what="a thing"), lambda _answer, chunks: list(chunks))
    return failure.value


def test_a_name_that_does_not_resolve_is_named_after_three_tries(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookups: list[object] = []

    def resolve(host: str, *_arguments: object, **_options: object) -> None:
        lookups.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "canary")

    del clock
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    failure = failure_of("https://rest.fra-1.example/path?canary=1", trust_environment=False)
    assert "Vendor: the name rest.fra-1.example does not resolve while asking for a thing." in str(failure)
    assert "spelled in the settings" in str(failure)
    assert "canary" not in str(failure)
    assert len(lookups) == 3


def test_a_refused_connection_is_named(clock: VirtualClock) -> None:
    del clock
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    failure = failure_of(f"http://127.0.0.1:{port}/?canary", trust_environment=False)
    assert f"the connection to 127.0.0.1:{port} failed" in str(failure)
    assert "canary" not in str(failure)


def test_a_proxy_that_does_not_connect_is_named(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    del clock
    with LoopbackServer(cut(b"HTTP/1.1 403 Forbidden\r\n\r\n")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//user:canary@"))
        monkeypatch.delenv("NO_PROXY", raising=False)
        failure = failure_of("https://rest.example/")
    assert "the proxy does not connect to rest.example" in str(failure)
    assert "HTTPS_PROXY" in str(failure)
    assert "canary" not in str(failure)


@pytest.mark.parametrize(
    "proxy", ["http://canary..host:99", "canary://host", "socks5://127.0.0.1:1", "http://user:canary@host:99999", "//"]
)
def test_a_proxy_that_is_none_is_a_settings_error(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.delenv("NO_PROXY", raising=False)
    failure = failure_of("https://rest.example/")
    assert isinstance(failure, SettingsError)
    assert "HTTPS_PROXY" in str(failure)
    assert "canary" not in str(failure)


def test_a_secret_host_is_not_named(clock: VirtualClock) -> None:
    del clock
    failure = failure_of("http://127.0.0.1:1/canary", trust_environment=False, names_host=False)
    assert "the connection to its host failed" in str(failure)
    assert "127" not in str(failure)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_bundle_of_authorities_without_any_is_a_settings_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_bytes(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with LoopbackServer(cut(b"")) as server:
        failure = failure_of(server.url.replace("http:", "https:"))
    assert isinstance(failure, SettingsError)
    assert "REQUESTS_CA_BUNDLE" in str(failure)


def test_a_tls_handshake_that_fails_is_named(clock: VirtualClock) -> None:
    del clock
    with LoopbackServer(cut(b"no TLS")) as server:
        failure = failure_of(server.url.replace("http:", "https:"), trust_environment=False)
    assert isinstance(failure, VendorUnavailable)
    assert "the TLS handshake with 127.0.0.1:" in str(failure)


@pytest.mark.parametrize("host", ["rest..host", "a" * 64 + ".example"])
def test_an_address_that_is_none_is_refused(host: str) -> None:
    assert isinstance(failure_of(f"https://{host}/canary", trust_environment=False), UnusableAnswer)
