"""One GET endpoint of Braze: its permission, its pool of requests, and how it refuses."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.errors import CredentialsRefused, QuotaReached, UnusableAnswer
from tap_cdp_export.http.client import ApiRequest
from tap_cdp_export.http.reasons import read_reason, reason_in
from tap_cdp_export.http.responses import LIST_LEVELS, read_object
from tap_cdp_export.singer.decoding import warn_of_nonfinite
from tap_cdp_export.vendors.braze.api import WORKSPACE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import requests

    from tap_cdp_export.vendors.braze.api import BrazeApi

_LARGEST_BYTES: Final = 64 * 2**20
_FORBIDDEN: Final = 403
_TOO_MANY: Final = 429
_SUCCESS: Final = "success"
"""What `message` says in every answer that is no refusal."""


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
        pool: which of the API's paces it keeps, together with other endpoints.
        joined: levels of objects, from the answer down to those whose values become rows, in which the values of a
            repeated key are merged.
    """

    path: str
    permission: str
    data_key: str
    what: str
    params: Mapping[str, str] = field(default_factory=dict)
    pool: str = WORKSPACE
    joined: int = LIST_LEVELS

    def get(self, api: BrazeApi, params: Mapping[str, str | int] | None = None, url: str = "") -> Answer:
        """Send a request, at the pace of its pool, and again where the vendor answers 429; may be called in any thread.

        Args:
            api: where to ask.
            params: further query parameters.
            url: an absolute URL to ask in place of the path, such as that of the next page.

        Returns:
            The answer.

        Raises:
            CredentialsRefused: If the key is refused, or lacks the permission, which the error names.
            QuotaReached: If the vendor goes on to answer 429.
            RequestRefused: If the request is refused.
            UnusableAnswer: If the answer is no JSON object.
        """
        query = None if url else {**self.params, **(params or {})}
        address = url or f"{api.base_url}{self.path}"
        call = ApiRequest("GET", address, what=self.what, params=query, expected=frozenset({_TOO_MANY}))
        pace = api.paces[self.pool]
        answer = None
        while answer is None:
            sent_at = pace.wait()

            def read(response: requests.Response, chunks: Iterator[bytes], sent_at: float = sent_at) -> Answer | None:
                pace.note(response)
                if response.status_code == _TOO_MANY:
                    if not pace.refused(response, sent_at=sent_at):
                        raise self._quota(read_reason(response, deadline=math.inf))
                    return None
                link = response.links.get("next", {}).get("url")
                return Answer(read_object(chunks, limit=_LARGEST_BYTES, joined=self.joined), link)

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
        fields = answer.content if answer else {}
        reason = reason_in({name: value for name, value in fields.items() if value != _SUCCESS})
        return UnusableAnswer(f"Braze's answer to the request for {self.what} is not as documented.{reason}")

    def _quota(self, reason: str) -> QuotaReached:
        return QuotaReached(
            f"Braze answered 429 (Too Many Requests) to the request for {self.what}.{reason} "
            "Run again later, and less often.",
            status=_TOO_MANY,
            reason=reason,
        )

    def _refusal(self, error: CredentialsRefused) -> CredentialsRefused:
        cause = (
            f"The key of braze.api_key lacks the permission {self.permission}, the plan lacks the endpoint, or its IP "
            "allowlist this machine. A permission cannot be added to a key: make a new one that has it, or leave "
            "out what needs it: a stream in braze.tables, a name in braze.segment_ids."
            if error.status == _FORBIDDEN
            else "Check braze.api_key, its IP allowlist, and braze.base_url."
        )
        return CredentialsRefused(
            f"Braze refuses {self.what} ({error.status}).{error.reason} {cause}",
            status=error.status,
            reason=error.reason,
        )
