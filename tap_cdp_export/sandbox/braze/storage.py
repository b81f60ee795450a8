"""Storage host of Braze's archives: S3 error responses, no credentials accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from tap_cdp_export.sandbox.request_log import entry_of
from tap_cdp_export.sandbox.responses import streamed

if TYPE_CHECKING:
    from starlette.requests import Request

    from tap_cdp_export.sandbox.braze.exports import Export, Exports
    from tap_cdp_export.sandbox.options import Options

_ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{}</Code><Message>{}</Message>{}'
    "<RequestId>8QK2V7T0SANDBOX1</RequestId><HostId>sandbox</HostId></Error>"
)
_ERRORS = {
    "denied": (403, "AccessDenied", "Access Denied", ""),
    "bad_header": (400, "InvalidArgument", "Unsupported Authorization Type", ""),
    "no_key": (404, "NoSuchKey", "The specified key does not exist.", ""),
    "s3_token": (400, "ExpiredToken", "The provided token has expired.", ""),
    "s3_url": (403, "AccessDenied", "Request has expired", "<Expires>2026-11-10T11:00:00Z</Expires>"),
    "gcs": (
        400,
        "ExpiredToken",
        "Invalid argument.",
        "<Details>The provided token has expired. Request signature expired at: 2026-11-10T11:00:00+00:00</Details>",
    ),
    "gcs_v2": (
        400,
        "ExpiredToken",
        "The provided token has expired.",
        "<Details>Request has expired: 1794308400</Details>",
    ),
    "azure": (
        403,
        "AuthenticationFailed",
        "Server failed to authenticate the request.",
        "<AuthenticationErrorDetail>Signature not valid in the specified time frame</AuthenticationErrorDetail>",
    ),
}
"""Status, code, message and details: recorded responses of the clouds (docs/vendors/braze.md, section 6)."""


class BrazeStorage:
    """The download URLs."""

    def __init__(self, options: Options, exports: Exports, storage_url: str) -> None:
        """Serve the archives of these exports."""
        self._options = options
        self._exports = exports
        self._storage_url = storage_url

    def routes(self) -> list[BaseRoute]:
        """Routes of the storage host; `hop` counts the redirects that a client has followed."""
        return [
            Route("/{token}.zip", self._download, methods=["GET"]),
            Route("/hops/{hop:int}/{token}.zip", self._download, methods=["GET"]),
        ]

    async def _download(self, request: Request) -> Response:
        """Send 403 until the export is ready, then the archive, then an error once the URL has expired."""
        options = self._options.braze
        if "authorization" in request.headers:
            return _error_response("bad_header")
        export = self._exports.find(request.path_params["token"])
        if export is None:
            return _error_response("denied")
        entry_of(request).job = export.prefix
        hop = request.path_params.get("hop", 0)
        if hop < options.redirects or options.redirect_form == "loop":
            return Response(status_code=options.redirect_status, headers={"location": self._location(request, hop + 1)})
        self._exports.record_poll(export, self._storage_url)
        if error := self._error(export):
            return _error_response(error)
        if request.method == "HEAD":
            return Response(media_type="application/zip")
        headers = {"content-encoding": "gzip"} if options.gzip_layers else None
        return StreamingResponse(streamed(self._exports.archive(export)), 200, headers, "application/zip")

    def _error(self, export: Export) -> str:
        """Name of the error that an export's URL gives now; "" once the file is ready."""
        options = self._options.braze
        if export.state != "ready":
            return "denied" if options.not_ready_status == 403 else "no_key"  # noqa: PLR2004 - HTTP
        return options.expired_form if self._exports.expired(export) else ""

    def _location(self, request: Request, hop: int) -> str:
        """Location of a redirect."""
        options = self._options.braze
        if options.redirect_form == "loop":
            return str(request.url)
        if hop == options.redirects and options.redirect_target:
            return options.redirect_target
        path = f"/hops/{hop}/{request.path_params['token']}.zip{options.url_query}"
        return path if options.redirect_form == "relative" else self._storage_url + path


def _error_response(error: str) -> Response:
    status, *parts = _ERRORS[error]
    return Response(_ERROR.format(*parts), status, media_type="application/xml")
