"""Braze's REST host and its key (docs/vendors/braze.md, sections 2.2 and 3)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.errors import CredentialsRefused
from tap_cdp_export.http.client import ApiRequest, Credentials, HttpClient, is_loopback
from tap_cdp_export.http.responses import read_object
from tap_cdp_export.vendors.braze.paces import Pace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, timedelta

    import requests

    from tap_cdp_export.http.client import ResponseHandler, T

logger = logging.getLogger(__name__)

MOST_PARALLEL_REQUESTS: Final = 16
NAMES: Final = "names"
"""Pool of the lists of custom attributes, events and products."""
PURCHASES: Final = "purchases"
"""Pool of the series of purchases, which stand in no list of limits."""
CAMPAIGN_SERIES: Final = "campaign series"
WORKSPACE: Final = "workspace"
"""Pools whose limits are so large that the tap goes by the vendor's headers alone."""
_REQUESTS_PER_HOUR: Final = 1_000

_FORBIDDEN: Final = 403
_LIST_PERMISSIONS: Final = "Check api_key, its permission segments.list, its IP allowlist, and base_url."


class _Bearer(Credentials):
    """The REST API key."""

    def __init__(self, api_key: str) -> None:
        self._header = f"Bearer {api_key}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request


class BrazeApi:
    """The REST host of one instance.

    Attributes:
        base_url: its address without a slash at the end, which is a documented cause of odd errors.
        is_local: whether it is on this machine, where no proxy has business.
        paces: pools of requests that are limited together, by name.
        listed: IDs that a list held, by its path, so that a run reads each list once.
        cut_short: paths of the lists whose last page was taken for the end without proof that it was.
        spans: days of the first and last send or entry of campaigns and Canvases, as their details have told.
    """

    def __init__(self, settings: Mapping[str, Any], *, deadline_seconds: float) -> None:
        """Connect nothing yet.

        Args:
            settings: `braze`.
            deadline_seconds: for one request with all its tries.
        """
        self.base_url = settings["base_url"].rstrip("/")
        self.is_local = is_loopback(self.base_url)
        self._http = HttpClient(
            "Braze",
            _Bearer(settings["api_key"]),
            deadline_seconds=deadline_seconds,
            trust_environment=not self.is_local,
            connections=MOST_PARALLEL_REQUESTS,
        )
        self.paces = {
            **{pool: Pace(_REQUESTS_PER_HOUR, deadline_seconds=deadline_seconds) for pool in (NAMES, PURCHASES)},
            **{pool: Pace(deadline_seconds=deadline_seconds) for pool in (CAMPAIGN_SERIES, WORKSPACE)},
        }
        self.listed: dict[str, list[str]] = {}
        self.cut_short: set[str] = set()
        self.spans: dict[str, tuple[date | None, date | None]] = {}

    @property
    def clock_lead(self) -> timedelta:
        """How far this machine's clock is ahead of the vendor's, by the last answer."""
        return self._http.clock_lead

    def post(  # noqa: PLR0913 -- each is a part of the request
        self,
        path: str,
        body: Mapping[str, Any],
        consume: ResponseHandler[T],
        *,
        what: str,
        expected: frozenset[int] = frozenset(),
        starts_job: bool = False,
    ) -> T:
        """Send a request that changes something.

        Args:
            path: behind the host.
            body: JSON.
            consume: uses the answer.
            what: what is asked for, in a few words for a message.
            expected: statuses besides 2xx that `consume` handles.
            starts_job: as of `ApiRequest`.

        Returns:
            What `consume` returned.

        Raises:
            CdpExportError: One of the tree.
        """
        call = ApiRequest(
            "POST", f"{self.base_url}{path}", what=what, json=body, expected=expected, starts_job=starts_job
        )
        return self._http.send(call, consume)

    def send(self, call: ApiRequest, consume: ResponseHandler[T]) -> T:
        """Send any request to the REST host, with the key.

        Args:
            call: its URL begins with `base_url`.
            consume: uses the answer.

        Returns:
            What `consume` returned.
        """
        return self._http.send(call, consume)

    def check_access(self) -> None:
        """List segments: the one read that any key may try and that starts nothing.

        Raises:
            CredentialsRefused: If the key is refused; a key without the right to list may still export.
        """
        try:
            self._list_segments()
        except CredentialsRefused as error:
            if error.status != _FORBIDDEN:
                raise
            logger.info("Braze knows the key, but it may not list segments; the right to export is not checked.")

    def _list_segments(self) -> None:
        call = ApiRequest("GET", f"{self.base_url}/segments/list", what="the list of segments", params={"page": 0})
        try:
            self._http.send(call, lambda _answer, chunks: read_object(chunks))
        except CredentialsRefused as error:
            raise CredentialsRefused(
                f"Braze refuses to list segments ({error.status}).{error.reason} {_LIST_PERMISSIONS}",
                status=error.status,
                reason=error.reason,
            ) from None
