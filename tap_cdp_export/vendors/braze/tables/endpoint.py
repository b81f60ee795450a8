"""One GET endpoint of Braze: its permission, its pool of requests, and how it refuses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.errors import CredentialsRefused, UnusableAnswer
from tap_cdp_export.http.client import ApiRequest
from tap_cdp_export.http.reasons import reason_in
from tap_cdp_export.http.responses import read_object
from tap_cdp_export.singer.decoding import warn_of_nonfinite

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import requests

    from tap_cdp_export.vendors.braze.api import BrazeApi

_LARGEST_BYTES: Final = 64 * 2**20
_FORBIDDEN: Final = 403


@dataclass(frozen=True)
class Answer:
    """An answer of an endpoint.

    Attributes:
        content: the JSON object.
        next_url: what the `Link` header names as `rel="next"`, as it is; None without one.
    """

    content: dict[str, Any]
    next_url: str | None = None


@dataclass(frozen=True)
class Endpoint:
    """What is asked for.

    Attributes:
        path: behind the host.
        permission: what the key needs; it cannot be added to a key later.
        data_key: key of the data in the answer; empty if the whole object is the data.
        what: what is asked for, in a few words for a message.
        params: query parameters of every request.
        pool: which of the API's paces it keeps, with others; None for the workspace's pool, which is large.
    """

    path: str
    permission: str
    data_key: str
    what: str
    params: Mapping[str, str] = field(default_factory=dict)
    pool: str | None = None

    def get(self, api: BrazeApi, params: Mapping[str, str | int] | None = None, url: str = "") -> Answer:
        """Send a request, at the pace of its pool; may be called in any thread.

        Args:
            api: where to ask.
            params: further query parameters.
            url: an absolute URL to ask in place of the path, such as that of the next page.

        Returns:
            The answer.

        Raises:
            CredentialsRefused: If the key is refused, or lacks the permission, which the error names.
            RequestRefused: If the request is refused.
            UnusableAnswer: If the answer is no JSON object.
        """
        query = None if url else {**self.params, **(params or {})}
        call = ApiRequest("GET", url or f"{api.base_url}{self.path}", what=self.what, params=query)
        pace = api.paces[self.pool] if self.pool else None

        def read(response: requests.Response, chunks: Iterator[bytes]) -> Answer:
            if pace:
                pace.note(response)
            link = response.links.get("next", {}).get("url")
            return Answer(read_object(chunks, limit=_LARGEST_BYTES), link)

        if pace:
            pace.wait()
        try:
            answer = api.send(call, read)
        except CredentialsRefused as error:
            raise self._refusal(error) from None
        warn_of_nonfinite()
        return answer

    def items(self, answer: Answer) -> list[Any]:
        """Return the list in an answer.

        Args:
            answer: of this endpoint.

        Returns:
            Its elements, of any type.

        Raises:
            UnusableAnswer: If there is no list under `data_key`.
        """
        items = answer.content.get(self.data_key)
        if not isinstance(items, list):
            raise self.not_as_documented(answer)
        return items

    def not_as_documented(self, answer: Answer | None = None) -> UnusableAnswer:
        """Make the error for an answer of another form.

        Args:
            answer: of this endpoint, where its own words may help.

        Returns:
            The error, with the vendor's own words if there are any.
        """
        reason = reason_in(answer.content) if answer else ""
        return UnusableAnswer(f"Braze's answer to the request for {self.what} is not as documented.{reason}")

    def _refusal(self, error: CredentialsRefused) -> CredentialsRefused:
        cause = (
            f"The key of braze.api_key lacks the permission {self.permission}, the plan lacks the endpoint, or its IP "
            "allowlist this machine. A permission cannot be added to a key: make a new one that has it, or take the "
            "stream out of braze.tables."
            if error.status == _FORBIDDEN
            else "Check braze.api_key, its IP allowlist, and braze.base_url."
        )
        return CredentialsRefused(
            f"Braze refuses {self.what} ({error.status}).{error.reason} {cause}",
            status=error.status,
            reason=error.reason,
        )
