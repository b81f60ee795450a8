"""The API of one account: its host, its token, its client; shared by everything that asks APSIS One."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin, urlsplit

from tap_cdp_export.errors import CredentialsRefused, UnusableAnswer
from tap_cdp_export.http.client import HttpClient, is_loopback, origin
from tap_cdp_export.vendors.apsis.token import Token

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from tap_cdp_export.http.client import ApiRequest, ResponseHandler

T = TypeVar("T")


class ApsisApi:
    """One client and one token for a run.

    Attributes:
        base_url: without a slash at its end; v1 paths begin with `/audience`, newer ones with `/v2/audience`.
        account: what tells this account's exports from another's, fit for STATE.
    """

    def __init__(self, settings: Mapping[str, Any], *, deadline_seconds: float) -> None:
        """Connect nothing yet.

        Args:
            settings: `apsis`.
            deadline_seconds: for one request with all its tries.
        """
        self.base_url: str = settings["base_url"].rstrip("/")
        client = hashlib.sha256(settings["client_id"].encode()).hexdigest()[:16]
        self.account: Mapping[str, str] = {"base_url": self.base_url, "client": client}
        self._token = Token(self.base_url, settings, deadline_seconds)
        self._http = HttpClient(
            "APSIS One",
            self._token,
            deadline_seconds=deadline_seconds,
            trust_environment=not is_loopback(self.base_url),
        )

    def check_access(self) -> timedelta:
        """Make sure that there is a token, which checks the credentials and starts nothing.

        Returns:
            How far this machine's clock is ahead of the vendor's.
        """
        return self._token.ensure()

    def send(self, call: ApiRequest, consume: ResponseHandler[T], *, deadline_seconds: float | None = None) -> T:
        """Send a call with the token.

        Args:
            call: its URL is at this API.
            consume: uses the open answer.
            deadline_seconds: for this call, in place of the client's.

        Returns:
            What `consume` returned.

        Raises:
            CredentialsRefused: If the API key lacks a right; a wrong one gets no token.
        """
        try:
            return self._http.send(call, consume, deadline_seconds=deadline_seconds)
        except CredentialsRefused as error:
            if call.what in str(error):
                raise CredentialsRefused(
                    f"APSIS One refuses the request for {call.what} ({error.status}).{error.reason} "
                    "Check what the API key of client_id may do, and that base_url is the account's region.",
                    status=error.status,
                    reason=error.reason,
                ) from None
            raise

    def url(self, path: str) -> str:
        """Give the URL of a path that `own_path` gave.

        Args:
            path: with its query; begins with a slash.

        Returns:
            The absolute URL.
        """
        return "{0.scheme}://{0.netloc}".format(urlsplit(self.base_url)) + path

    def own_path(self, url: str, what: str, *, base: str = "") -> str:
        """Cut a URL that the vendor gave to its path and query; it must be at the API, since it needs the token.

        Args:
            url: absolute or relative.
            what: which URL, in a few words for a message.
            base: what a relative one is relative to, if not the API's root.

        Returns:
            Path and query.

        Raises:
            UnusableAnswer: If it is elsewhere.
        """
        try:
            absolute = urljoin(base or self.base_url + "/", url)
            is_own = self._is_own(origin(absolute))
        except ValueError:
            absolute, is_own = "", False
        if not is_own:
            raise UnusableAnswer(
                f"APSIS One gave {what} on another host than base_url; the token is not sent there. "
                "Check that base_url is the account's region."
            )
        parts = urlsplit(absolute)
        path = parts.path or "/"
        return f"{path}?{parts.query}" if parts.query else path

    def _is_own(self, found: tuple[str, str, int]) -> bool:
        """Compare an origin with the API's; one behind a proxy may give http URLs, which are asked for over https."""
        own = origin(self.base_url)
        return found == own or (own == ("https", found[1], 443) and found == ("http", found[1], 80))
