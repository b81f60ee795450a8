"""Explain why a host could not be reached: its name, the connection, the proxy, TLS or time.

The text of the libraries' exceptions is not used, since it contains the URL.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import NameResolutionError, NewConnectionError

_UNTRUSTED: Final = "CERTIFICATE_VERIFY_FAILED"
_EMPTY_BUNDLE: Final = "NO_CERTIFICATE_OR_CRL_FOUND"

CA_BUNDLE_ADVICE: Final = (
    "The file of trusted authorities that REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names is missing or holds none."
)
PROXY_ADVICE: Final = (
    "The proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names cannot be used. Give it as http://host:port."
)


def host_of(url: str) -> str:
    """Return the host of a URL as messages name it, with its port."""
    return urlsplit(url).netloc.rpartition("@")[2]


def explain(failure: requests.RequestException, host: str) -> str:
    """Describe a network error.

    Args:
        failure: from requests.
        host: whoever cannot be reached.

    Returns:
        A clause, such as `the name api.example does not resolve`.
    """
    if isinstance(failure, requests.exceptions.ProxyError):
        return f"the proxy does not connect to {host}"
    if isinstance(failure, requests.exceptions.SSLError):
        is_untrusted = _UNTRUSTED in str(failure)
        return (
            f"the TLS certificate of {host} is not trusted" if is_untrusted else f"the TLS handshake with {host} failed"
        )
    if isinstance(failure, requests.ConnectTimeout):
        return f"no connection to {host} in time"
    if isinstance(failure, requests.Timeout):
        return f"no answer from {host} in time"
    if is_unknown_name(failure):
        return f"the name {host} does not resolve"
    return f"the connection to {host} failed"


def advice(failure: requests.RequestException) -> str:
    """Say what to check.

    Args:
        failure: from requests.

    Returns:
        A sentence.
    """
    if isinstance(failure, requests.exceptions.ProxyError):
        return "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY."
    if isinstance(failure, requests.exceptions.SSLError):
        return "Check the authorities that this machine trusts (REQUESTS_CA_BUNDLE), and the host."
    if is_unknown_name(failure):
        return "Check how the host is spelled in the settings, and this machine's name service."
    return "Check the host, this machine's network, and whether a proxy is needed."


def is_unknown_name(failure: requests.RequestException) -> bool:
    """Return whether the name of the host did not resolve."""
    return isinstance(_reason(failure), NameResolutionError)


def is_untrusted(failure: requests.RequestException) -> bool:
    """Return whether the certificate is not trusted; retries do not help, and verification is never turned off."""
    return _UNTRUSTED in str(failure)


def is_without_authorities(failure: requests.RequestException) -> bool:
    """Return whether the file of trusted authorities holds no certificate."""
    return _EMPTY_BUNDLE in str(failure)


def was_not_sent(failure: requests.RequestException) -> bool:
    """Return whether the request cannot have arrived."""
    return isinstance(failure, requests.ConnectTimeout) or isinstance(_reason(failure), NewConnectionError)


def _reason(failure: requests.RequestException) -> object:
    cause = failure.args[0] if failure.args else None
    return getattr(cause, "reason", None)
