"""Requests to the User and Account Export APIs (docs/vendors/personalization.md, sections 1 to 3 and 7)."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from requests.auth import HTTPBasicAuth

from tap_cdp_export.errors import CredentialsRefused, IncompleteAnswer, RequestRefused, UnusableAnswer
from tap_cdp_export.files import strict_json
from tap_cdp_export.files.compression import open_decompressed
from tap_cdp_export.files.spool import Spool
from tap_cdp_export.http.client import ApiRequest, Credentials, HttpClient, is_loopback
from tap_cdp_export.http.reasons import read_reason, reason_of
from tap_cdp_export.http.responses import announced_size, is_framed
from tap_cdp_export.redaction import REDACTOR
from tap_cdp_export.windows import epoch_milliseconds, from_epoch_milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import requests

    from tap_cdp_export.http.client import ResponseHandler, T
    from tap_cdp_export.windows import Window

_STATUSES: Final = frozenset({200, 204})
"""Of a page; another success, such as 202, may come with an empty body, which in CSV would be taken for the end."""

_LARGEST_REASON: Final = 64 * 1024
_RIGHTS: Final = (
    'Check api_key_id and api_key_secret, that the token is enabled with "Can access API" on, '
    "and its dataset restriction and IP accept list."
)


class _Basic(Credentials):
    """HTTP Basic: the key's ID as user name, its secret as password."""

    def __init__(self, key_id: str, secret: str) -> None:
        REDACTOR.add_secrets([f"{key_id}:{secret}"])
        self._basic = HTTPBasicAuth(key_id.encode(), secret.encode())

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        self._basic(request)
        return request


class PersonalizationClient:
    """Reads pages of users and accounts."""

    def __init__(self, settings: Mapping[str, Any], *, deadline_seconds: float) -> None:
        """Connect nothing yet.

        Args:
            settings: `personalization`.
            deadline_seconds: for a page with all its tries.
        """
        self._settings = settings
        self._base_url = _base_url(settings)
        self._deadline_seconds = deadline_seconds
        self._http = HttpClient(
            "Personalization",
            _Basic(settings["api_key_id"], settings["api_key_secret"]),
            deadline_seconds=deadline_seconds,
            trust_environment=not is_loopback(self._base_url),
        )

    def page(  # noqa: PLR0913 -- what tells a page from all others
        self, kind: str, dataset: str, window: Window | None, *, page: int, page_size: int, segment: str | None = None
    ) -> Spool:
        """Read one page.

        Args:
            kind: `users` or `accounts`.
            dataset: name or ID of the dataset.
            window: of the engagement statistics; it selects no records.
            page: number from 0.
            page_size: records a page; 0 for everything in one body.
            segment: name or ID of the one whose members are read, in place of those that the settings select.

        Returns:
            The body.

        Raises:
            RequestRefused: If the dataset or a segment is unknown.
            CredentialsRefused: If the token or its rights do not suffice.
        """
        params: dict[str, Any] = {"filter": segment} if segment else self._filters()
        if window:
            params |= {"start": epoch_milliseconds(window.start), "end": epoch_milliseconds(window.end)}
        if page_size:
            params |= {"page": page, "pageSize": page_size}
        if kind == "users" and self._settings["include_geo"] and not segment:
            params["includeGeo"] = "true"
        params |= _spelled(self._settings["extra_params"])
        call = ApiRequest(
            "GET",
            self.url(dataset, f"{kind}.{self._settings['format']}"),
            what=f"{f'members of segment {segment}' if segment else kind} of dataset {dataset}, page {page}",
            params=params,
            headers={"Accept-Encoding": "gzip"},
        )
        try:
            return self._http.send(call, self._spooled)
        except CredentialsRefused as error:
            raise CredentialsRefused(
                f"Personalization refuses {call.what} ({error.status}).{error.reason} {_RIGHTS}",
                status=error.status,
                reason=error.reason,
            ) from None
        except RequestRefused as error:
            filters = "segments" if segment else "filter, segmentation_id, segment_id"
            known = f"dataset_ids, {filters} and extra_params"
            verb = "does not know the dataset or a segment of" if error.status == 404 else "refuses"  # noqa: PLR2004 -- the status
            raise RequestRefused(
                f"Personalization {verb} the request for {call.what} ({error.status}).{error.reason} Check {known}.",
                status=error.status,
                reason=error.reason,
            ) from None

    def send(self, call: ApiRequest, consume: ResponseHandler[T]) -> T:
        """Send any request to the tenant's host, with the credentials.

        Args:
            call: its URL is one of `url`.
            consume: processes the response.

        Returns:
            The result of `consume`.
        """
        return self._http.send(call, consume)

    def url(self, dataset: str, file: str) -> str:
        """Return the URL of an export.

        Args:
            dataset: name or ID of the dataset.
            file: such as `users.json`.
        """
        return f"{self._base_url}/api/dataset/{quote(dataset, safe='')}/{file}"

    def window_columns(self, window: Window) -> dict[str, str | None]:
        """Return which window is sent, as the columns of the records have it.

        Args:
            window: what is asked for where `extra_params` do not say otherwise.

        Returns:
            `window_start` and `window_end`; None for a bound that is not sent, since `extra_params` have null for it.
        """
        times: dict[str, Any] = {"start": epoch_milliseconds(window.start), "end": epoch_milliseconds(window.end)}
        sent = {name: self._settings["extra_params"].get(name, time) for name, time in times.items()}
        return {
            f"window_{name}": None if time is None else from_epoch_milliseconds(int(time))
            for name, time in sent.items()
        }

    def _spooled(self, answer: requests.Response, chunks: Iterator[bytes]) -> Spool:
        """Keep a body; a CSV has no end mark of its own, so HTTP must have announced its length."""
        if answer.status_code not in _STATUSES:
            reason = read_reason(answer, deadline=time.monotonic() + self._deadline_seconds)
            raise UnusableAnswer(
                f"Personalization answered a page with {answer.status_code}, which is not documented.{reason}"
            )
        if self._settings["format"] == "csv" and not is_framed(answer):
            raise UnusableAnswer("A CSV page came without a length, so it may be cut short. Set format to json.")
        if answer.status_code == HTTPStatus.NO_CONTENT and self._settings["format"] == "json":
            return Spool.of(b"".join(chunks) or b"[]")
        spool = Spool(chunks, announced_size=announced_size(answer))
        try:
            self._refuse_object(spool)
        except BaseException:
            spool.close()
            raise
        return spool

    def _refuse_object(self, page: Spool) -> None:
        """Quote the reason of an error that comes with a status of success; another try may bring the page.

        Raises:
            IncompleteAnswer: If the page is an object, and so no list of records.
        """
        beginning = next(open_decompressed(page), b"")
        if not beginning.removeprefix(strict_json.BOM).lstrip().startswith(b"{"):
            return
        reason = reason_of(page.head(_LARGEST_REASON))
        if reason or self._settings["format"] == "json":
            raise IncompleteAnswer(f"The answer is an object and no list of records.{reason}")

    def _filters(self) -> dict[str, str]:
        names = {"filter": "filter", "segmentation_id": "segmentationId", "segment_id": "segmentId"}
        return {name: self._settings[key] for key, name in names.items() if key in self._settings}


def _spelled(params: Mapping[str, Any]) -> dict[str, Any]:
    """Spell a JSON true as the vendor does, not as Python does."""
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in params.items()}


def _base_url(settings: Mapping[str, Any]) -> str:
    if "base_url" in settings:
        return str(settings["base_url"]).rstrip("/")
    host = ".".join(filter(None, (settings["account_name"], settings.get("instance"), "evergage.com")))
    return f"https://{host}"
