"""Braze's REST host: the export request, the cancel endpoint and the list of segments."""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.routing import BaseRoute, Route

from tap_cdp_export.sandbox.braze import export_users
from tap_cdp_export.sandbox.braze.exports import Asked, Exports, url_of
from tap_cdp_export.sandbox.request_log import body_of, entry_of
from tap_cdp_export.sandbox.responses import json_answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from tap_cdp_export.sandbox.options import Options

_HOUR = 3600
_PAGE = 100
_MOST_ATTRIBUTES = 500
_LEGACY = ("api_key", "app_group_id")
_BAD_SEGMENT = "segment_id must be a string of the Segment api identifier"


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Braze:
    """The vendor's REST endpoints."""

    def __init__(self, options: Options, exports: Exports, storage_url: str) -> None:
        """Accept exports as these options say; their urls are below `storage_url`."""
        self._all = options
        self._exports = exports
        self._storage_url = storage_url
        self._hour = 0
        self._used = 0

    def routes(self) -> list[BaseRoute]:
        """The vendor's paths."""
        return [
            Route("/users/export/segment", self._answer(self._ask), methods=["POST"]),
            Route("/users/export/segment/", self._answer(_slash), methods=["POST"]),
            Route("/export/segment/cancel", self._answer(self._cancel), methods=["POST"]),
            Route("/segments/list", self._answer(self._list), methods=["GET"]),
            Route("/segments/details", self._answer(self._details), methods=["GET"]),
        ]

    def _answer(
        self, endpoint: Callable[[Request], tuple[int, dict[str, Any]]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint with key check, hourly limit, errors as `{"message": …}` and rate headers."""

        async def answer(request: Request) -> Response:
            known = False
            try:
                self._authenticate(request)
                known = True
                self._count()
                status, content = endpoint(request)
            except _Refused as refusal:
                status, content = refusal.status, {"message": str(refusal)}
            response = json_answer(content, status)
            response.raw_headers += self._rate_headers(known=known)
            return response

        return answer

    def _authenticate(self, request: Request) -> None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer":
            raise _Refused(401, "Error authenticating credentials")
        if not hmac.compare_digest(key.encode(), self._all.braze.api_key.encode()):
            raise _Refused(401, f"Invalid API key: {key}")  # recorded: the key in clear

    def _count(self) -> None:
        """One pool of requests a clock hour."""
        hour = int(time.time()) // _HOUR
        self._used = self._used + 1 if hour == self._hour else 1
        self._hour = hour
        if self._used > self._all.braze.requests_per_hour:
            raise _Refused(429, "You have exceeded the hourly rate limit")

    def _rate_headers(self, *, known: bool) -> list[tuple[bytes, bytes]]:
        """The three headers, in the recorded spelling; empty on a 401."""
        limit = self._all.braze.requests_per_hour
        values = (limit, max(0, limit - self._used), (self._hour + 1) * _HOUR) if known else ("", "", "")
        names = (b"X-Ratelimit-Limit", b"X-Ratelimit-Remaining", b"X-Ratelimit-Reset")
        return [(name, str(value).encode()) for name, value in zip(names, values, strict=True)]

    def _require(self, permission: str) -> None:
        if permission not in self._all.braze.permissions:
            raise _Refused(403, "Access Denied")

    def _ask(self, request: Request) -> tuple[int, dict[str, Any]]:
        """Accept an export: "success" only means accepted."""
        options = self._all.braze
        if not options.plan_includes_export:
            raise _Refused(403, "Forbidden")
        self._require("users.export.segment")
        asked = self._parse(_json_body(request))
        for export in self._exports.running(asked.segment.identifier):
            self._exports.touch(export, self._storage_url)
        if self._exports.running(asked.segment.identifier):
            raise _Refused(429, "An export for this segment is already in progress")
        if self._exports.full:
            raise _Refused(429, "Too many segment exports are running")
        export = self._exports.begin(asked, self._storage_url)
        entry_of(request).job = export.prefix
        content: dict[str, Any] = {"object_prefix": export.prefix}
        form = "null" if options.bucket_folder is not None and options.url == "given" else options.url
        if form != "missing":
            content["url"] = url_of(export, self._storage_url, options.url_query) if form == "given" else None
        return 201, {**content, "message": "success"}

    def _parse(self, body: dict[str, Any]) -> Asked:
        for name in _LEGACY:
            if name in body:
                raise _Refused(400, f"{name} is no longer accepted in the request body")
        segment = _segment(body.get("segment_id"))
        fields = _texts(body, "fields_to_export")
        if not fields:
            raise _Refused(400, "fields_to_export is required and must not be empty")
        unknown = fields - export_users.FIELDS
        if unknown and self._all.braze.unknown_field_names == "refuse":
            raise _Refused(400, "fields_to_export contains unknown fields")
        attributes = _texts(body, "custom_attributes_to_export")
        if len(attributes) > _MOST_ATTRIBUTES:
            raise _Refused(400, "At most 500 custom attributes can be exported")
        output_format = body.get("output_format", "zip")
        if output_format not in ("zip", "gzip"):
            raise _Refused(400, "output_format must be zip or gzip")
        callback = body.get("callback_endpoint")
        if callback is not None and not (isinstance(callback, str) and callback.startswith(("http://", "https://"))):
            raise _Refused(400, "callback_endpoint must be a URL")
        style = export_users.Style(
            fields=fields & export_users.FIELDS,
            custom_attributes=attributes,
            mixed_types=self._all.braze.mixed_types,
            extra_field=self._all.braze.extra_field,
        )
        return Asked(segment, style, output_format, callback)

    def _cancel(self, request: Request) -> tuple[int, dict[str, Any]]:
        self._require("segments.list")
        self._exports.cancel(_segment(_json_body(request).get("segment_id")).identifier)
        return 200, {"message": "success"}

    def _list(self, request: Request) -> tuple[int, dict[str, Any]]:
        """A hundred a page, counted from 0."""
        self._require("segments.list")
        page = request.query_params.get("page", "0")
        direction = request.query_params.get("sort_direction", "asc")
        if not (page.isascii() and page.isdecimal()) or direction not in ("asc", "desc"):
            raise _Refused(400, "page must be a number, sort_direction asc or desc")
        segments = list(export_users.SEGMENTS.values())
        if direction == "desc":
            segments.reverse()
        shown = segments[int(page) * _PAGE : (int(page) + 1) * _PAGE]
        listed = [
            {"id": one.identifier, "name": one.name, "analytics_tracking_enabled": False, "tags": []} for one in shown
        ]
        return 200, {"message": "success", "segments": listed}

    def _details(self, request: Request) -> tuple[int, dict[str, Any]]:
        self._require("segments.list")
        segment = _segment(request.query_params.get("segment_id"))
        created = self._all.population.opened
        return 200, {
            "message": "success",
            "name": segment.name,
            "description": segment.name,
            "created_at": created,
            "updated_at": created,
            "text_description": segment.kind,
            "tags": [],
        }


def _slash(_request: Request) -> tuple[int, dict[str, Any]]:
    """A slash at the end of the path is a documented cause of a 403."""
    raise _Refused(403, "Forbidden")


def _json_body(request: Request) -> dict[str, Any]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise _Refused(415, "Content-Type must be application/json")
    try:
        return msgspec.json.decode(body_of(request), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise _Refused(400, "The request body is not a JSON object") from error


def _segment(identifier: Any) -> export_users.Segment:  # noqa: ANN401 - whatever JSON the client sent
    if not isinstance(identifier, str) or identifier not in export_users.SEGMENTS:
        raise _Refused(400, _BAD_SEGMENT)
    return export_users.SEGMENTS[identifier]


def _texts(body: dict[str, Any], name: str) -> frozenset[str]:
    listed = body.get(name) or []
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        raise _Refused(400, f"{name} must be an array of strings")
    return frozenset(listed)
