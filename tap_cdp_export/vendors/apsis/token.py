"""The bearer token (docs/vendors/apsis.md, section 2)."""

from __future__ import annotations

import base64
import binascii
import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.errors import CredentialsRefused, RequestRefused, UnusableAnswer
from tap_cdp_export.files import strict_json
from tap_cdp_export.http.client import ApiRequest, Credentials, HttpClient, is_loopback
from tap_cdp_export.http.reasons import reason_in
from tap_cdp_export.http.responses import read_object
from tap_cdp_export.redaction import REDACTOR

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

logger = logging.getLogger(__name__)

_EARLY_SECONDS: Final = 300.0
_LEAST_SECONDS: Final = 60.0  # also for a token that this machine's clock takes for expired: a refusal renews it
_SHORT_LIFE_SECONDS: Final = 900.0


class Token(Credentials):
    """A bearer token, asked for once and kept until it is about to expire.

    The endpoint allows ten calls a minute, so a token serves the whole run. After a refusal (the vendor's own
    clients take 401 and 403 alike) it is renewed once for a call.
    """

    def __init__(self, base_url: str, settings: Mapping[str, Any], deadline_seconds: float) -> None:
        """Connect nothing yet.

        Args:
            base_url: of the API, without a slash at its end.
            settings: `apsis`.
            deadline_seconds: for one request with all its tries.
        """
        self._http = HttpClient(
            "APSIS One", deadline_seconds=deadline_seconds, trust_environment=not is_loopback(base_url)
        )
        self._call = ApiRequest(
            "POST",
            f"{base_url}/oauth/token",
            what="a token",
            json={
                "grant_type": "client_credentials",
                "client_id": settings["client_id"],
                "client_secret": settings["client_secret"],
            },
        )
        self._value = ""
        self._good_until = 0.0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the token on a request.

        Args:
            request: to the API.

        Returns:
            The same.
        """
        self.ensure()
        request.headers["Authorization"] = f"Bearer {self._value}"
        return request

    def renew(self, _status: int) -> bool:
        """Forget the token, so that the next try asks for another.

        Returns:
            True.
        """
        self._good_until = 0.0
        return True

    def ensure(self) -> timedelta:
        """Ask for a token, unless there is one that is still good.

        Returns:
            How far this machine's clock is ahead of the vendor's; never negative.

        Raises:
            CredentialsRefused: If the vendor gives none.
            UnusableAnswer: If its answer holds none.
        """
        if time.time() >= self._good_until:
            self._ask()
        return max(self._http.clock_lead, timedelta(0))

    def _ask(self) -> None:
        try:
            answer = self._http.send(self._call, lambda _answer, chunks: read_object(chunks))
        except (CredentialsRefused, RequestRefused) as error:
            raise CredentialsRefused(
                f"APSIS One gives no token ({error.status}).{error.reason} Check client_id and client_secret, "
                "and that base_url is the account's region.",
                status=error.status,
                reason=error.reason,
            ) from None
        token = answer.get("access_token")
        if not isinstance(token, str) or not token or not (token.isascii() and token.isprintable()):
            raise UnusableAnswer(f"APSIS One answered the request for a token without access_token.{reason_in(answer)}")
        REDACTOR.add_secrets([token])
        if errors := reason_in({"errors": answer.get("errors")}):
            logger.warning("APSIS One gave a token but reports errors.%s", errors)
        self._value = token
        self._good_until = max(_expiry(token, answer) - _EARLY_SECONDS, time.time() + _LEAST_SECONDS)


def _expiry(token: str, answer: Mapping[str, Any]) -> float:
    """Find when a token expires, in Unix seconds: the JWT's `exp` counts, `expires_in` is deprecated."""
    parts = token.split(".")
    if len(parts) == 3:  # noqa: PLR2004 -- a JWT's parts
        try:
            claims = strict_json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
            return float(claims["exp"])
        except (ValueError, TypeError, KeyError, binascii.Error):
            pass
    try:
        return time.time() + float(answer["expires_in"])
    except (ValueError, TypeError, KeyError):
        return time.time() + _SHORT_LIFE_SECONDS
