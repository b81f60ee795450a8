"""Endpoints of APSIS One: token, export request, poll URL and definitions."""

from __future__ import annotations

import time
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from tap_cdp_export.sandbox.apsis import definitions
from tap_cdp_export.sandbox.apsis.file import export_file
from tap_cdp_export.sandbox.apsis.refusal import Refused
from tap_cdp_export.sandbox.apsis.request import parse_export
from tap_cdp_export.sandbox.apsis.token import Tokens
from tap_cdp_export.sandbox.clock import DAY, HOUR
from tap_cdp_export.sandbox.request_log import body_of, entry_of
from tap_cdp_export.sandbox.responses import RateLimit, gzipped, json_response, streamed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from starlette.requests import Request

    from tap_cdp_export.sandbox.apsis.export_profiles import Request as ExportRequest
    from tap_cdp_export.sandbox.options import Options
    from tap_cdp_export.sandbox.population import Population
    from tap_cdp_export.sandbox.shopping import Customer

_ACCOUNT = "account=sandbox"  # query string that the client must keep


class _Job(Struct):
    """An accepted export."""

    identifier: str
    request: ExportRequest
    segment: str | None
    at: int
    requested_at: float  # monotonic clock
    outcome: str
    polls: int = 0


class Apsis:
    """The vendor's endpoints, and the accepted exports."""

    def __init__(self, options: Options, population: Population) -> None:
        """Serve this dataset under these options."""
        self._options = options
        self._population = population
        self._tokens = Tokens()
        self._token_limit, self._export_limit, self._download_limit = RateLimit(), RateLimit(), RateLimit()
        self._jobs: dict[str, _Job] = {}
        self._polls = 0

    def routes(self) -> list[BaseRoute]:
        """Routes of the vendor."""
        lists = {
            "/audience/sections/{section}/attributes": _versioned(definitions.ATTRIBUTES),
            "/audience/sections/{section}/tags": _versioned(definitions.TAGS),
            "/audience/sections/{section}/events": _versioned(definitions.EVENTS),
            "/v2/audience/sections/{section}/topics": _topics,
            "/audience/sections": self._sections,
            "/audience/segments": _segments,
            "/audience/keyspaces": lambda _: _named("com.apsis1.keyspaces", "email", "mobile", "crm-id", "web"),
            "/audience/channels": lambda _: _named("com.apsis1.channels", "email", "sms"),
        }
        return [
            Route("/oauth/token", _with_problem_responses(self._token), methods=["POST"]),
            Route("/audience/profiles/exports", _with_problem_responses(self._request_export), methods=["POST"]),
            Route("/audience/profiles/exports/{job}", _with_problem_responses(self._poll), methods=["GET"]),
            *(
                Route(path, _with_problem_responses(self._list(build)), methods=["GET"])
                for path, build in lists.items()
            ),
        ]

    def _authorize(self, request: Request) -> None:
        self._tokens.check(request.headers.get("authorization", ""), self._options.apsis)

    def _throttle(self, rate_limit: RateLimit, limit: int, requests: str) -> None:
        if not rate_limit.allows(limit):
            raise self._too_many(f"Too many {requests} in a minute")

    def _too_many(self, detail: str) -> Refused:
        seconds = self._options.apsis.retry_after
        return Refused(429, detail, None if seconds is None else {"retry-after": str(seconds)})

    async def _token(self, request: Request) -> Response:
        options = self._options.apsis
        self._throttle(self._token_limit, options.tokens_per_minute, "token requests")
        return json_response(self._tokens.issue(body_of(request), options))

    async def _request_export(self, request: Request) -> Response:
        """Accept an export and return its poll URL."""
        self._authorize(request)
        options = self._options.apsis
        self._throttle(self._export_limit, options.exports_per_minute, "exports")
        export_request, segment = parse_export(body_of(request), options.item_shape)
        pending = sum(not self._expired(job) and not self._ready(job) for job in self._jobs.values())
        if options.pending_limit and pending >= options.pending_limit:
            raise self._too_many("Too many pending exports")
        job = _Job(
            str(uuid.uuid4()),
            export_request,
            segment,
            self._population.now(),
            time.monotonic(),
            self._outcome(export_request),
        )
        if options.same_export and self._jobs:
            job = next(iter(self._jobs.values()))
        self._jobs[job.identifier] = job
        entry_of(request).job = job.identifier
        host = "" if options.relative_url else options.poll_url_origin or str(request.base_url).rstrip("/")
        url = f"{host}/audience/profiles/exports/{job.identifier}?{_ACCOUNT}"
        if not options.url_field:
            return Response(status_code=options.request_status, headers={"location": url})
        return json_response({options.url_field: url}, options.request_status)

    def _outcome(self, export_request: ExportRequest) -> str:
        """Outcome of a new export; each planned failure is used once."""
        options = self._options.apsis
        if options.refuse_days_over and export_request.end - export_request.start > options.refuse_days_over * DAY:
            if options.refuse_by.isdecimal():
                raise Refused(int(options.refuse_by), "The data set is too large")
            return options.refuse_by
        if options.failing_exports:
            options.failing_exports -= 1
            return "fails"
        if options.error_bodies:
            options.error_bodies -= 1
            return "error"
        return "ready"

    def _ready(self, job: _Job) -> bool:
        options = self._options.apsis
        seconds = time.monotonic() - job.requested_at
        return job.polls > options.polls_before_ready and seconds >= options.ready_after_seconds

    def _expired(self, job: _Job) -> bool:
        return self._population.now() >= job.at + self._options.apsis.url_hours * HOUR

    async def _poll(self, request: Request) -> Response:
        """Answer a poll; the same URL is the download, which can be repeated."""
        self._authorize(request)
        options = self._options.apsis
        self._throttle(self._download_limit, options.downloads_per_minute, "downloads")
        entry = entry_of(request)
        entry.job = request.path_params["job"]
        self._polls += 1
        if self._polls == options.expire_token_after_polls:
            self._tokens.revoke()
        job = self._jobs.get(request.path_params["job"])
        if job is None or request.url.query != _ACCOUNT:
            raise Refused(410 if options.poll_mode == "v1" else 404, "No such export")
        if self._expired(job):
            raise Refused(410, "The export is gone")
        job.polls += 1
        if not self._ready(job):
            if options.poll_mode == "v2":
                return Response(status_code=202)
            raise Refused(404, "The export is not ready")
        if job.outcome == "fails":
            raise Refused(503, "The export failed, please request a new one")
        if job.outcome == "error":
            return json_response({"status": "error", "detail": "The data set is too large"})
        return self._file(job, request)

    def _file(self, job: _Job, request: Request) -> Response:
        """Send the file, compressed if the client accepts gzip."""
        parts = export_file(self._profiles(job), self._options.apsis)
        if not _accepts_gzip(request.headers.get("accept-encoding", "")):
            return StreamingResponse(streamed(parts), media_type="application/json")
        headers = {"content-encoding": "gzip", "vary": "Accept-Encoding"}
        return StreamingResponse(
            streamed(gzipped(parts, self._options.apsis.gzip_layers)), 200, headers, "application/json"
        )

    def _profiles(self, job: _Job) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the profiles of the segment; none unless an attribute or a tag was requested."""
        export_request = job.request
        if not any(export_request.attributes.values()) and not any(export_request.tags.values()):
            return
        for customer in self._population.customers(job.at):
            if job.segment is None or _in_segment(job.segment, customer):
                yield customer.person.export_key, self._population.apsis_profile(customer, export_request)

    def _list(self, build: Callable[[Request], list[dict[str, Any]]]) -> Callable[[Request], Awaitable[Response]]:
        """Wrap a list of definitions into an endpoint."""

        async def answer(request: Request) -> Response:
            self._authorize(request)
            return json_response({"items": build(request)})

        return answer

    def _sections(self, _request: Request) -> list[dict[str, Any]]:
        field = self._options.apsis.section_id_field
        return [
            {field: section.number, "discriminator": section.discriminator, "name": section.name}
            for section in definitions.SECTIONS
        ]


def _with_problem_responses(
    endpoint: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Wrap an endpoint so that refusals become `application/problem+json` responses."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Refused as refusal:
            title = HTTPStatus(refusal.status).phrase
            problem = {"title": title, "status": refusal.status, "detail": str(refusal)}
            return json_response(problem, refusal.status, refusal.headers, "application/problem+json")

    return answer


def _accepts_gzip(header: str) -> bool:
    for coding in header.split(","):
        name, _, quality = coding.strip().partition(";")
        if name.strip().lower() == "gzip":
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _in_segment(segment: str, customer: Customer) -> bool:
    if definitions.SEGMENTS[segment] == "Women":
        return customer.person.woman and not customer.person.anonymous
    return customer.in_club


def _section(request: Request) -> definitions.Section:
    for section in definitions.SECTIONS:
        if section.discriminator == request.path_params["section"]:
            return section
    raise Refused(404, "No such section")


def _versioned(all_definitions: tuple[definitions.Definition, ...]) -> Callable[[Request], list[dict[str, Any]]]:
    """Build the list of a section's definitions with deprecated versions; hidden definitions are left out."""

    def build(request: Request) -> list[dict[str, Any]]:
        section = _section(request)
        return [
            {
                "discriminator": definition.discriminator,
                "name": definition.name,
                "description": f"{definition.name} ({definition.kind})",
                "type": definition.kind,
                "versions": [
                    {"id": version, "deprecated_at": "2025-12-01T00:00:00Z" if version == definition.old else None}
                    for version in reversed(definitions.versions(definition))
                ],
            }
            for definition in all_definitions
            if definition.section is section and not definition.hidden
        ]

    return build


def _topics(request: Request) -> list[dict[str, Any]]:
    _section(request)
    return [{"discriminator": "usercreated.topics.offers-a1b2c3d4e5", "name": "Erbjudanden"}]


def _segments(_request: Request) -> list[dict[str, Any]]:
    return [
        {"discriminator": discriminator, "name": name, "description": name, "versions": [{"id": "1"}]}
        for discriminator, name in definitions.SEGMENTS.items()
    ]


def _named(prefix: str, *names: str) -> list[dict[str, Any]]:
    return [{"discriminator": f"{prefix}.{name}", "name": name} for name in names]
