"""REST endpoints of Braze: export request and cancellation, and those of the modules beside this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tap_cdp_export.sandbox.braze import export_users
from tap_cdp_export.sandbox.braze.access import Access, Refused
from tap_cdp_export.sandbox.braze.definitions import Definitions
from tap_cdp_export.sandbox.braze.exports import ExportRequest, Exports, url_of
from tap_cdp_export.sandbox.braze.lists import Lists
from tap_cdp_export.sandbox.braze.series import Series
from tap_cdp_export.sandbox.braze.suppressions import Suppressions
from tap_cdp_export.sandbox.braze.workspace import Workspace
from tap_cdp_export.sandbox.request_log import body_of, entry_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from tap_cdp_export.sandbox.options import Options
    from tap_cdp_export.sandbox.population import Population

_MOST_ATTRIBUTES = 500
_LEGACY = ("api_key", "app_group_id")
_BAD_SEGMENT = "segment_id must be a string of the Segment api identifier"


class Braze:
    """The vendor's REST endpoints."""

    def __init__(self, options: Options, exports: Exports, storage_url: str, population: Population) -> None:
        """Serve these exports under these options; their URLs are below `storage_url`."""
        self._options = options
        self._exports = exports
        self._storage_url = storage_url
        self._access = Access(options)
        self._workspace = Workspace(options, population)

    def routes(self) -> list[BaseRoute]:
        """Routes of the vendor."""
        route = self._access.route
        definitions = Definitions(self._access, self._workspace)
        return [
            route("/users/export/segment", self._request_export, method="POST"),
            route("/users/export/segment/", _slash, method="POST"),
            route("/export/segment/cancel", self._cancel, method="POST"),
            *Lists(self._access, self._workspace).routes(),
            *definitions.routes(),
            *Suppressions(self._access, self._workspace).routes(),
            *Series(self._access, self._workspace, definitions).routes(),
        ]

    def _request_export(self, request: Request) -> tuple[int, dict[str, Any]]:
        """Accept an export; "success" only means that it was accepted."""
        options = self._options.braze
        if not options.plan_includes_export:
            raise Refused(403, "Forbidden")
        self._access.require("users.export.segment")
        export_request = self._parse(_json_body(request))
        for export in self._exports.running(export_request.segment.identifier):
            self._exports.record_poll(export, self._storage_url)
        if self._exports.running(export_request.segment.identifier):
            raise Refused(429, "An export for this segment is already in progress")
        if self._exports.full:
            raise Refused(429, "Too many segment exports are running")
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
                raise Refused(400, f"{name} is no longer accepted in the request body")
        segment = _segment(body.get("segment_id"))
        fields = _texts(body, "fields_to_export")
        if not fields:
            raise Refused(400, "fields_to_export is required and must not be empty")
        unknown = fields - export_users.FIELDS
        if unknown and self._options.braze.unknown_field_names == "refuse":
            raise Refused(400, "fields_to_export contains unknown fields")
        attributes = _texts(body, "custom_attributes_to_export")
        if len(attributes) > _MOST_ATTRIBUTES:
            raise Refused(400, "At most 500 custom attributes can be exported")
        output_format = body.get("output_format", "zip")
        if output_format not in ("zip", "gzip"):
            raise Refused(400, "output_format must be zip or gzip")
        callback = body.get("callback_endpoint")
        if callback is not None and not (isinstance(callback, str) and callback.startswith(("http://", "https://"))):
            raise Refused(400, "callback_endpoint must be a URL")
        style = export_users.Style(
            fields=fields & export_users.FIELDS,
            custom_attributes=attributes,
            mixed_types=self._options.braze.mixed_types,
            times=self._options.braze.times,
            extra_field=self._options.braze.extra_field,
            control_groups=self._options.braze.control_groups,
        )
        return ExportRequest(segment, style, output_format, callback)

    def _cancel(self, request: Request) -> tuple[int, dict[str, Any]]:
        self._access.require("segments.list")
        self._exports.cancel(_segment(_json_body(request).get("segment_id")).identifier)
        return 200, {"message": "success"}


def _slash(_request: Request) -> tuple[int, dict[str, Any]]:
    """Refuse a trailing slash with 403, as documented."""
    raise Refused(403, "Forbidden")


def _json_body(request: Request) -> dict[str, Any]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "Content-Type must be application/json")
    try:
        return msgspec.json.decode(body_of(request), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise Refused(400, "The request body is not a JSON object") from error


def _segment(identifier: Any) -> export_users.Segment:  # noqa: ANN401 - whatever JSON the client sent
    if not isinstance(identifier, str) or identifier not in export_users.SEGMENTS:
        raise Refused(400, _BAD_SEGMENT)
    return export_users.SEGMENTS[identifier]


def _texts(body: dict[str, Any], name: str) -> frozenset[str]:
    values = body.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise Refused(400, f"{name} must be an array of strings")
    return frozenset(values)
