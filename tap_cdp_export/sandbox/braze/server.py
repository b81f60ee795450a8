"""REST endpoints of Braze: export request, cancellation, and segments."""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.routing import BaseRoute, Route

from tap_cdp_export.sandbox.braze import export_users
from tap_cdp_export.sandbox.braze.exports import ExportRequest, Exports, url_of
from tap_cdp_export.sandbox.request_log import body_of, entry_of
from tap_cdp_export.sandbox.responses import json_response

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
        """Serve these exports under these options; their URLs are below `storage_url`."""
        self._options = options
        self._exports = exports
        self._storage_url = storage_url
        self._current_hour = 0
        self._requests_this_hour = 0

    def routes(self) -> list[BaseRoute]:
        """Routes of the vendor."""
        return [
            Route("/users/export/segment", self._with_checks(self._request_export), methods=["POST"]),
            Route("/users/export/segment/", self._with_checks(_slash), methods=["POST"]),
            Route("/export/segment/cancel", self._with_checks(self._cancel), methods=["POST"]),
            Route("/segments/list", self._with_checks(self._list), methods=["GET"]),
            Route("/segments/details", self._with_checks(self._details), methods=["GET"]),
        ]

    def _with_checks(
        self, endpoint: Callable[[Request], tuple[int, dict[str, Any]]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Wrap an endpoint with the key check, the hourly limit, errors as `{"message": …}` and rate limit headers."""

        async def answer(request: Request) -> Response:
            is_authenticated = False
            try:
                self._authenticate(request)
                is_authenticated = True
                self._count()
                status, content = endpoint(request)
            except _Refused as refusal:
                status, content = refusal.status, {"message": str(refusal)}
            response = json_response(content, status)
            response.raw_headers += self._rate_headers(is_authenticated=is_authenticated)
            return response

        return answer

    def _authenticate(self, request: Request) -> None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer":
            raise _Refused(401, "Error authenticating credentials")
        if not hmac.compare_digest(key.encode(), self._options.braze.api_key.encode()):
            raise _Refused(401, f"Invalid API key: {key}")  # Braze quotes the key in clear, as recorded

    def _count(self) -> None:
        """Count a request against the limit per clock hour."""
        hour = int(time.time()) // _HOUR
        self._requests_this_hour = self._requests_this_hour + 1 if hour == self._current_hour else 1
        self._current_hour = hour
        if self._requests_this_hour > self._options.braze.requests_per_hour:
            raise _Refused(429, "You have exceeded the hourly rate limit")

    def _rate_headers(self, *, is_authenticated: bool) -> list[tuple[bytes, bytes]]:
        """Rate limit headers, in the recorded spelling; empty on a 401."""
        limit = self._options.braze.requests_per_hour
        values = (
            (limit, max(0, limit - self._requests_this_hour), (self._current_hour + 1) * _HOUR)
            if is_authenticated
            else ("", "", "")
        )
        names = (b"X-Ratelimit-Limit", b"X-Ratelimit-Remaining", b"X-Ratelimit-Reset")
        return [(name, str(value).encode()) for name, value in zip(names, values, strict=True)]

    def _require(self, permission: str) -> None:
        if permission not in self._options.braze.permissions:
            raise _Refused(403, "Access Denied")

    def _request_export(self, request: Request) -> tuple[int, dict[str, Any]]:
        """Accept an export; "success" only means that it was accepted."""
        options = self._options.braze
        if not options.plan_includes_export:
            raise _Refused(403, "Forbidden")
        self._require("users.export.segment")
        export_request = self._parse(_json_body(request))
        for export in self._exports.running(export_request.segment.identifier):
            self._exports.record_poll(export, self._storage_url)
        if self._exports.running(export_request.segment.identifier):
            raise _Refused(429, "An export for this segment is already in progress")
        if self._exports.full:
            raise _Refused(429, "Too many segment exports are running")
        export = self._exports.begin(export_request, self._storage_url)
        entry_of(request).job = export.prefix
        content: dict[str, Any] = {"object_prefix": export.prefix}
        url_form = "null" if options.bucket_folder is not None and options.url == "given" else options.url
        if url_form != "missing":
            content["url"] = url_of(export, self._storage_url, options.url_query) if url_form == "given" else None
        return 201, {**content, "message": "success"}

    def _parse(self, body: dict[str, Any]) -> ExportRequest:
        for name in _LEGACY:
            if name in body:
                raise _Refused(400, f"{name} is no longer accepted in the request body")
        segment = _segment(body.get("segment_id"))
        fields = _texts(body, "fields_to_export")
        if not fields:
            raise _Refused(400, "fields_to_export is required and must not be empty")
        unknown = fields - export_users.FIELDS
        if unknown and self._options.braze.unknown_field_names == "refuse":
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
            mixed_types=self._options.braze.mixed_types,
            times=self._options.braze.times,
            extra_field=self._options.braze.extra_field,
        )
        return ExportRequest(segment, style, output_format, callback)

    def _cancel(self, request: Request) -> tuple[int, dict[str, Any]]:
        self._require("segments.list")
        self._exports.cancel(_segment(_json_body(request).get("segment_id")).identifier)
        return 200, {"message": "success"}

    def _list(self, request: Request) -> tuple[int, dict[str, Any]]:
        """List the segments, a hundred per page, pages from 0."""
        self._require("segments.list")
        page = request.query_params.get("page", "0")
        direction = request.query_params.get("sort_direction", "asc")
        if not (page.isascii() and page.isdecimal()) or direction not in ("asc", "desc"):
            raise _Refused(400, "page must be a number, sort_direction asc or desc")
        segments = list(export_users.SEGMENTS.values())
        if direction == "desc":
            segments.reverse()
        page_segments = segments[int(page) * _PAGE : (int(page) + 1) * _PAGE]
        items = [
            {"id": segment.identifier, "name": segment.name, "analytics_tracking_enabled": False, "tags": []}
            for segment in page_segments
        ]
        return 200, {"message": "success", "segments": items}

    def _details(self, request: Request) -> tuple[int, dict[str, Any]]:
        self._require("segments.list")
        segment = _segment(request.query_params.get("segment_id"))
        created = self._options.population.opened
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
    """Refuse a trailing slash with 403, as documented."""
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
    values = body.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise _Refused(400, f"{name} must be an array of strings")
    return frozenset(values)
