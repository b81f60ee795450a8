"""SSRF guard: downloads connect to public addresses only, since their URLs come from responses.

The address of the peer is checked after connecting and before the first byte is sent: a name may resolve to another
address in between, and an address can be written in many forms. See docs/reliability.md, section 7.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import urlsplit

from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from tap_cdp_export.errors import UnusableAnswer
from tap_cdp_export.http.connections import (
    InterruptibleAdapter,
    InterruptibleHTTPConnection,
    InterruptibleHTTPSConnection,
    addresses,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_IPV4_TRANSLATION: Final = tuple(
    map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"))
)
_GLOBAL_IPV6: Final = ipaddress.ip_network("2000::/3")
"""Global unicast; the rest of IPv6 is local (`fc00::/7`, `fec0::/10`), for multicast or reserved."""

_SPECIAL: Final = tuple(
    map(
        ipaddress.ip_network,
        ("192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4", "2001::/23", "2001:db8::/32", "3fff::/20"),
    )
)
"""Reserved ranges that not every supported Python knows."""

_CLOUD_INTERNAL: Final = frozenset({ipaddress.ip_address("168.63.129.16")})
"""Global by its number, but served by the host of an Azure machine."""


def is_public(address: str) -> bool:
    """Return whether an address is public.

    Args:
        address: an IPv4 or IPv6 address, with or without a zone.

    Returns:
        False for private, loopback, link-local, multicast and reserved addresses, and for IPv6 forms that translate
        to IPv4 (NAT64, 6to4, Teredo). An IPv4-mapped address counts as its IPv4 address.
    """
    ip: Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        elif ip not in _GLOBAL_IPV6 or any(ip in network for network in _IPV4_TRANSLATION):
            return False
    if any(ip in network for network in _SPECIAL):
        return False
    return ip.is_global and not ip.is_multicast and ip not in _CLOUD_INTERNAL


def is_private_host(url: str) -> bool:
    """Return whether the host of a URL resolves to private addresses only; False if it does not resolve.

    Args:
        url: an absolute URL.
    """
    host = urlsplit(url).hostname or ""
    try:
        return not any(map(is_public, addresses(host)))
    except (OSError, UnicodeError):
        return False


def _check_address(connection: socket.socket) -> socket.socket:
    if not is_public(connection.getpeername()[0]):
        connection.close()
        raise UnusableAnswer(
            "A download address of the vendor leads to a private network; nothing was sent there. "
            "Ask the vendor, or whoever runs this network's name service."
        )
    return connection


class _CheckedHTTPConnection(InterruptibleHTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _check_address(super()._new_conn())


class _CheckedHTTPSConnection(InterruptibleHTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _check_address(super()._new_conn())


class _CheckedHTTPPool(HTTPConnectionPool):
    ConnectionCls = _CheckedHTTPConnection


class _CheckedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _CheckedHTTPSConnection


class PublicAddressAdapter(InterruptibleAdapter):
    """Transport adapter that connects to public addresses only; connections through a proxy are left to the proxy."""

    pools: ClassVar[Mapping[str, type[HTTPConnectionPool]]] = {"http": _CheckedHTTPPool, "https": _CheckedHTTPSPool}
