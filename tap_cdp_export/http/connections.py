"""Connections whose name is resolved in another thread, so that a signal ends that wait too.

The system's resolver does not return to Python before its end, and Python runs signal handlers in the main thread only.
"""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any, ClassVar

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError

from tap_cdp_export.signals import STOP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3 import ProxyManager


class InterruptibleHTTPConnection(HTTPConnection):
    """A connection whose name is resolved in another thread."""

    def _new_conn(self) -> socket.socket:
        _look_up(self)
        return super()._new_conn()


class InterruptibleHTTPSConnection(HTTPSConnection):
    """The same with TLS."""

    def _new_conn(self) -> socket.socket:
        _look_up(self)
        return super()._new_conn()


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = InterruptibleHTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = InterruptibleHTTPSConnection


class InterruptibleAdapter(HTTPAdapter):
    """Transport adapter whose connections, those to a proxy included, wait for a name only until a signal.

    Attributes:
        pools: connection pools by scheme, without a proxy.
    """

    pools: ClassVar[Mapping[str, type[HTTPConnectionPool]]] = {"http": _HTTPPool, "https": _HTTPSPool}

    def init_poolmanager(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 -- the library's signature
        """Create a pool manager with `pools`.

        Args:
            args: as in `HTTPAdapter`.
            options: as in `HTTPAdapter`.
        """
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = dict(self.pools)

    def proxy_manager_for(self, proxy: str, **options: Any) -> ProxyManager:  # noqa: ANN401 -- the library's signature
        """Return the pool manager of a proxy; one of SOCKS has connections of its own.

        Args:
            proxy: URL of the proxy.
            options: as in `HTTPAdapter`.
        """
        manager: ProxyManager = super().proxy_manager_for(proxy, **options)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = dict(InterruptibleAdapter.pools)
        return manager


def _look_up(connection: HTTPConnection) -> None:
    """Wait until the system knows the addresses of a connection's host; connecting asks it once more, which is quick.

    Args:
        connection: one that is not open yet.

    Raises:
        NameResolutionError: If the name does not resolve.
    """
    try:
        addresses(connection.host)
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from error
    except (OSError, UnicodeError):  # connecting fails for the same reason, and urllib3 names it
        return


def addresses(host: str) -> list[str]:
    """Resolve a name.

    Args:
        host: a name or an address.

    Returns:
        Its addresses.

    Raises:
        OSError: If it does not resolve.
        UnicodeError: If it is no name, such as `rest..host`.
        Interrupted: If a signal arrives; nothing has been sent then.
    """
    outcomes: list[list[str] | OSError | UnicodeError] = []
    done = threading.Event()

    def resolve() -> None:
        try:
            entries = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
            outcomes.append([str(entry[4][0]) for entry in entries])
        except (OSError, UnicodeError) as error:
            outcomes.append(error)
        finally:
            done.set()

    if threading.current_thread() is threading.main_thread():
        threading.Thread(target=resolve, name="resolve", daemon=True).start()
        with STOP.interruptible():
            done.wait()
    else:
        resolve()
    outcome = outcomes[0]
    if isinstance(outcome, list):
        return outcome
    raise outcome
