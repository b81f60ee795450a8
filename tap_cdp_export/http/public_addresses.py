"""Whom a download may connect to: a URL in an answer must not reach into the company's own network.

The connected peer is judged, after connecting and before the first byte is sent: a name may resolve to
another address by then, and an address has many spellings.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from tap_cdp_export.errors import UnusableAnswer

if TYPE_CHECKING:
    Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_TRANSLATED: Final = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")))
_CLOUD_INTERNAL: Final = frozenset({ipaddress.ip_address("168.63.129.16")})
"""Global by its number, but answered by the host of a cloud machine."""


def is_public(address: str) -> bool:
    """Tell whether an address is out on the internet, for everyone alike.

    Args:
        address: IPv4 or IPv6, perhaps with a zone.

    Returns:
        False for private, loopback, link-local and reserved ones, and for IPv6 forms that hide an IPv4 address.
    """
    ip: Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        elif any(ip in network for network in _TRANSLATED):
            return False
    return ip.is_global and not ip.is_multicast and ip not in _CLOUD_INTERNAL


def is_private_host(url: str) -> bool:
    """Tell whether a URL's host is on this machine or in a private network.

    Args:
        url: an absolute URL.

    Returns:
        True if its host has no public address.
    """
    host = urlsplit(url).hostname or ""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return not any(is_public(str(entry[4][0])) for entry in found)


def _check_address(connection: socket.socket) -> socket.socket:
    if not is_public(connection.getpeername()[0]):
        connection.close()
        raise UnusableAnswer(
            "A download address of the vendor leads to a private network; nothing was sent there. "
            "Ask the vendor, or whoever runs this network's name service."
        )
    return connection


class _PlainConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _check_address(super()._new_conn())


class _SecureConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _check_address(super()._new_conn())


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class PublicAddressAdapter(HTTPAdapter):
    """Connects to public addresses only; a company's own proxy, where there is one, judges for itself."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 -- the library's signature
        """Make the pools of judged connections.

        Args:
            args: the library's.
            options: the library's.
        """
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
