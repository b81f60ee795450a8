"""Send the requests of the check, and keep what may be told of the answers."""

from __future__ import annotations

import itertools
import json
import logging
import time
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import requests
from isal import isal_zlib as zlib

from tap_cdp_export.check.facts import Outcome, Unknown
from tap_cdp_export.check.shapes import encoding, header_names, media_type, shape
from tap_cdp_export.errors import CdpExportError, UnusableAnswer
from tap_cdp_export.files.compression import GZIP_MAGIC, GZIP_WBITS, INFLATE_ERROR
from tap_cdp_export.http.reasons import reason_of
from tap_cdp_export.signals import STOP

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from tap_cdp_export.http.client import ApiRequest, ResponseHandler

logger = logging.getLogger(__name__)

T = TypeVar("T")

ANY_STATUS: Final = frozenset(range(300, 600))
"""For `ApiRequest.expected`: no status raises and none is retried, since each is an answer worth knowing."""

LARGEST_BODY: Final = 16 * 2**20
_OK: Final = range(200, 300)
_GROWTH: Final = 1.5
_LONGEST_PAUSE: Final = 30.0  # a line of the log for each poll then shows progress
_LONGEST_RETRY_AFTER: Final = 300.0


class Send(Protocol):
    """Sends a request, as `HttpClient.send` does."""

    def __call__(self, call: ApiRequest, consume: ResponseHandler[T], /) -> T:
        """Send it."""


@dataclass(frozen=True)
class Observation:
    """An answer.

    Attributes:
        status: HTTP status; 0 if there was no usable answer.
        headers: as sent.
        body: at most 16 MiB of it, decompressed.
        is_whole: whether `body` is all of it.
        is_gzip: whether it came as gzip.
        seconds: from the request until the headers.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=requests.structures.CaseInsensitiveDict)
    body: bytes = b""
    is_whole: bool = False
    is_gzip: bool = False
    seconds: float = 0.0

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return self.status in _OK

    @cached_property
    def json(self) -> Any:  # noqa: ANN401 -- any JSON
        """The body as JSON; None if it is none."""
        try:
            return json.loads(self.body) if self.is_whole else None
        except (ValueError, RecursionError):
            return None

    @property
    def object(self) -> dict[str, Any]:
        """The body as a JSON object; empty if it is none."""
        return self.json if isinstance(self.json, dict) else {}

    @property
    def retry_after(self) -> float:
        """The seconds in `Retry-After`, at most 300; 0 without any."""
        text = self.headers.get("Retry-After", "").strip()
        return min(float(text), _LONGEST_RETRY_AFTER) if text.isascii() and text.isdecimal() else 0.0

    def objects(self, name: str = "") -> list[dict[str, Any]]:
        """Give the objects of a JSON array.

        Args:
            name: the key that holds the array; the body itself is the array without one.
        """
        items = self.object.get(name) if name else self.json
        return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


class Observer:
    """Collects what the answers of one vendor say.

    Attributes:
        may_export: whether one export is allowed.
        exports: number of exports that the vendor has accepted.
        requests: one entry for each request, fit for the report.
        rights: whether each right is granted; None if no request told.
    """

    def __init__(self, unknowns: Iterable[Unknown], names: Collection[str], *, may_export: bool) -> None:
        """Start without an answer.

        Args:
            unknowns: the vendor's unknown facts.
            names: documented names of its fields.
            may_export: whether one export is allowed.
        """
        self.may_export = may_export
        self.exports = 0
        self.requests: list[dict[str, Any]] = []
        self.rights: dict[str, bool | None] = {}
        self._names = names
        self._outcomes = {unknown.id: Outcome.OPEN for unknown in unknowns}

    @property
    def has_answer(self) -> bool:
        """Whether the vendor has answered any request."""
        return any("status" in request for request in self.requests)

    def outcome(self, identifier: str) -> Outcome:
        """Return what is known of a fact by now."""
        return self._outcomes[identifier]

    def record(self, identifier: str, *, holds: bool | None) -> None:
        """Note what an answer says about a claim; a claim that one answer refutes stays refuted.

        Args:
            identifier: of the unknown fact.
            holds: whether the claim is true; None if the answer does not tell.
        """
        if holds is not None and self._outcomes[identifier] is not Outcome.REFUTED:
            self._outcomes[identifier] = Outcome.CONFIRMED if holds else Outcome.REFUTED

    def right(self, name: str, answer: Observation) -> None:
        """Note whether a right is granted, by the status of an answer that needs it."""
        granted = answer.is_success or answer.status == HTTPStatus.BAD_REQUEST  # which asks for more than the right
        refused = answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
        self.rights[name] = True if granted else False if refused else None

    def observe(self, send: Send, call: ApiRequest, *, shows_body: bool = True) -> Observation:
        """Send a request and note its answer, whatever its status.

        Args:
            send: of the vendor's client.
            call: with `ANY_STATUS` expected.
            shows_body: whether the report describes the JSON of the body.

        Returns:
            The answer; one with status 0 if it could not be used.

        Raises:
            CdpExportError: If there is no answer, so that further requests would only take time.
        """
        logger.info("Asking for %s.", call.what)
        start = time.monotonic()

        def consume(answer: requests.Response, chunks: Iterator[bytes]) -> Observation:
            seconds = time.monotonic() - start
            return Observation(answer.status_code, answer.headers, *_read(chunks), seconds)

        try:
            observation = send(call, consume)
        except CdpExportError as error:
            self.requests.append({"request": call.what, "failure": type(error).__name__})
            if not isinstance(error, UnusableAnswer):
                raise
            logger.warning("%s", error)
            return Observation()
        if not observation.is_success:
            logger.info("Asked for %s: status %d.%s", call.what, observation.status, reason_of(observation.body))
        entry = {
            "request": call.what,
            "status": observation.status,
            "seconds": round(observation.seconds, 2),
            "bytes": len(observation.body),
            "media_type": media_type(observation.headers),
            "encoding": encoding(observation.headers),
            "headers": header_names(observation.headers),
        }
        if shows_body and (document := observation.json) is not None:
            entry["shape"] = shape(document, self._names)
        self.requests.append(entry)
        return observation

    def describe(self, document: Any) -> None:  # noqa: ANN401 -- any JSON
        """Add the shape of a decoded file to the last request.

        Args:
            document: what the answer's file holds.
        """
        self.requests[-1]["shape"] = shape(document, self._names)

    def poll(
        self, look: Callable[[], Observation], is_pending: Callable[[Observation], bool], settings: Mapping[str, Any]
    ) -> list[Observation]:
        """Poll until an export is ready; the report shows the first and the last answer only.

        Args:
            look: sends one poll.
            is_pending: whether an answer says that the export is not ready.
            settings: of the vendor, with its pauses and deadline for polls.

        Returns:
            All answers; the last one is pending if the deadline has passed.
        """
        start, pause = time.monotonic(), float(settings["poll_initial_seconds"])
        answers: list[Observation] = []
        for number in itertools.count(1):
            answers.append(look())
            if number > 2 and len(self.requests) > 1:  # noqa: PLR2004 -- the first and the last stay
                del self.requests[-2]
            waited, wait = time.monotonic() - start, max(pause, answers[-1].retry_after)
            if not is_pending(answers[-1]) or waited + wait > settings["export_timeout_seconds"]:
                self.requests[-1] |= {"polls": number, "waited_seconds": round(waited, 1)}
                return answers
            with STOP.interruptible():
                time.sleep(wait)
            pause = min(pause * _GROWTH, float(settings["poll_max_seconds"]), _LONGEST_PAUSE)
        raise AssertionError("the loop has no end")


def _read(chunks: Iterator[bytes]) -> tuple[bytes, bool, bool]:
    """Read a body up to the limit, and decompress it; return whether it is whole, and whether it was gzip."""
    text = bytearray()
    for chunk in chunks:
        text += chunk
        if len(text) > LARGEST_BODY:
            return b"", False, text.startswith(GZIP_MAGIC)
    if not text.startswith(GZIP_MAGIC):
        return bytes(text), True, False
    decompressor = zlib.decompressobj(GZIP_WBITS)
    try:
        plain = decompressor.decompress(bytes(text), LARGEST_BODY)
    except INFLATE_ERROR:
        return b"", False, True
    return plain, bool(decompressor.eof), True
