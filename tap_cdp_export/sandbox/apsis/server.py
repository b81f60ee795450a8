"""APSIS One's API: token, export request, poll URL and definitions; errors as title, status and detail."""

from __future__ import annotations

import time
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from tap_cdp_export.sandbox.apsis import definitions
from tap_cdp_export.sandbox.apsis.file import export_file, gzipped
from tap_cdp_export.sandbox.apsis.request import Refused, parse_export
from tap_cdp_export.sandbox.apsis.token import Tokens
from tap_cdp_export.sandbox.clock import DAY, HOUR
from tap_cdp_export.sandbox.request_log import body_of, entry_of
from tap_cdp_export.sandbox.responses import Pace, json_answer, streamed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from starlette.requests import Request

    from tap_cdp_export.sandbox.apsis.export_profiles import Request as ExportRequest
    from tap_cdp_export.sandbox.options import Options
    from tap_cdp_export.sandbox.population import Population
    from tap_cdp_export.sandbox.shopping import Customer

_ACCOUNT = "account=sandbox"  # a query string that the client must keep


class _Job(Struct):
    """An export that was asked for."""

    identifier: str
    request: ExportRequest
    segment: str | None
    at: int
    asked: float
    outcome: str
    polls: int = 0


class Apsis:
    """The vendor's endpoints, and the exports that are under way."""

    def __init__(self, options: Options, population: Population) -> None:
        """Answer from this world, as these options say."""
        self._all = options
        self._population = population
        self._tokens = Tokens()
        self._token_pace, self._export_pace, self._download_pace = Pace(), Pace(), Pace()
        self._jobs: dict[str, _Job] = {}
        self._polls = 0

    def routes(self) -> list[BaseRoute]:
        """The vendor's paths."""
        own = {
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
            Route("/oauth/token", _problems(self._token), methods=["POST"]),
            Route("/audience/profiles/exports", _problems(self._ask), methods=["POST"]),
            Route("/audience/profiles/exports/{job}", _problems(self._poll), methods=["GET"]),
            *(Route(path, _problems(self._list(build)), methods=["GET"]) for path, build in own.items()),
        ]

    def _authorize(self, request: Request) -> None:
        self._tokens.check(request.headers.get("authorization", ""), self._all.apsis)

    def _throttle(self, pace: Pace, limit: int, what: str) -> None:
        if not pace.allows(limit):
            raise self._too_many(f"Too many {what} in a minute")

    def _too_many(self, detail: str) -> Refused:
        seconds = self._all.apsis.retry_after
        return Refused(429, detail, None if seconds is None else {"retry-after": str(seconds)})

    async def _token(self, request: Request) -> Response:
        options = self._all.apsis
        self._throttle(self._token_pace, options.tokens_per_minute, "token requests")
        return json_answer(self._tokens.issue(body_of(request), options))

    async def _ask(self, request: Request) -> Response:
        """Accept an export; only its poll URL is answered."""
        self._authorize(request)
        options = self._all.apsis
        self._throttle(self._export_pace, options.exports_per_minute, "exports")
        asked, segment = parse_export(body_of(request))
        pending = sum(not self._expired(job) and not self._ready(job) for job in self._jobs.values())
        if options.pending_limit and pending >= options.pending_limit:
            raise self._too_many("Too many pending exports")
        job = _Job(str(uuid.uuid4()), asked, segment, self._population.now(), time.monotonic(), self._fate(asked))
        self._jobs[job.identifier] = job
        entry_of(request).job = job.identifier
        host = "" if options.relative_url else str(request.base_url).rstrip("/")
        url = f"{host}/audience/profiles/exports/{job.identifier}?{_ACCOUNT}"
        if not options.url_field:
            return Response(status_code=options.request_status, headers={"location": url})
        return json_answer({options.url_field: url}, options.request_status)

    def _fate(self, asked: ExportRequest) -> str:
        """How the export will end; the planned failures are used up."""
        options = self._all.apsis
        if options.refuse_days_over and asked.end - asked.start > options.refuse_days_over * DAY:
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
        options = self._all.apsis
        waited = time.monotonic() - job.asked
        return job.polls > options.polls_before_ready and waited >= options.ready_after_seconds

    def _expired(self, job: _Job) -> bool:
        return self._population.now() >= job.at + self._all.apsis.url_hours * HOUR

    async def _poll(self, request: Request) -> Response:
        """The poll URL, which is the download too; it can be read many times."""
        self._authorize(request)
        options = self._all.apsis
        self._throttle(self._download_pace, options.downloads_per_minute, "downloads")
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
            return json_answer({"status": "error", "detail": "The data set is too large"})
        return self._file(job, request)

    def _file(self, job: _Job, request: Request) -> Response:
        """Plain JSON, unless the client accepts gzip."""
        parts = export_file(self._profiles(job), self._all.apsis)
        if not _accepts_gzip(request.headers.get("accept-encoding", "")):
            return StreamingResponse(streamed(parts), media_type="application/json")
        headers = {"content-encoding": "gzip", "vary": "Accept-Encoding"}
        return StreamingResponse(streamed(gzipped(parts)), 200, headers, "application/json")

    def _profiles(self, job: _Job) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every profile of the segment; none at all unless an attribute or a tag was requested."""
        asked = job.request
        if not any(asked.attributes.values()) and not any(asked.tags.values()):
            return
        for customer in self._population.customers(job.at):
            if job.segment is None or _in_segment(job.segment, customer):
                yield customer.person.export_key, self._population.apsis_profile(customer, asked)

    def _list(self, build: Callable[[Request], list[dict[str, Any]]]) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint that lists definitions."""

        async def answer(request: Request) -> Response:
            self._authorize(request)
            return json_answer({"items": build(request)})

        return answer

    def _sections(self, _request: Request) -> list[dict[str, Any]]:
        field = self._all.apsis.section_id_field
        return [
            {field: section.number, "discriminator": section.discriminator, "name": section.name}
            for section in definitions.SECTIONS
        ]


def _problems(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint, with refusals answered as APSIS One does."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Refused as refusal:
            title = HTTPStatus(refusal.status).phrase
            problem = {"title": title, "status": refusal.status, "detail": str(refusal)}
            return json_answer(problem, refusal.status, refusal.headers, "application/problem+json")

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


def _versioned(known: tuple[definitions.Definition, ...]) -> Callable[[Request], list[dict[str, Any]]]:
    """A list of definitions of one section, with deprecated versions; one is missing though the file has it."""

    def build(request: Request) -> list[dict[str, Any]]:
        section = _section(request)
        return [
            {
                "discriminator": one.discriminator,
                "name": one.name,
                "description": f"{one.name} ({one.kind})",
                "type": one.kind,
                "versions": [
                    {"id": version, "deprecated_at": "2025-12-01T00:00:00Z" if version == one.old else None}
                    for version in reversed(definitions.versions(one))
                ],
            }
            for one in known
            if one.section is section and not one.hidden
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
