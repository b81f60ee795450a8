"""Storage host of Braze's archives: S3 error responses, no credentials accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from tap_cdp_export.sandbox.request_log import entry_of
from tap_cdp_export.sandbox.responses import streamed

if TYPE_CHECKING:
    from starlette.requests import Request

    from tap_cdp_export.sandbox.braze.exports import Exports
    from tap_cdp_export.sandbox.options import Options

_STATUS = {"InvalidArgument": 400, "NoSuchKey": 404}  # the others are 403
_TEXT = {
    "AccessDenied": "Access Denied",
    "ExpiredToken": "The provided token has expired.",
    "InvalidArgument": "Unsupported Authorization Type",
    "NoSuchKey": "The specified key does not exist.",
}


class BrazeStorage:
    """The download URLs."""

    def __init__(self, options: Options, exports: Exports, storage_url: str) -> None:
        """Serve the archives of these exports."""
        self._options = options
        self._exports = exports
        self._storage_url = storage_url

    def routes(self) -> list[BaseRoute]:
        """Route of the storage host."""
        return [Route("/{token}.zip", self._download, methods=["GET"])]

    async def _download(self, request: Request) -> Response:
        """Send 403 until the export is ready, then the archive, then 403 once the URL has expired."""
        options = self._options.braze
        if "authorization" in request.headers:
            return _error_response("InvalidArgument")
        export = self._exports.find(request.path_params["token"])
        if export is None:
            return _error_response("AccessDenied")
        entry_of(request).job = export.prefix
        self._exports.record_poll(export, self._storage_url)
        if export.state != "ready":
            return _error_response("AccessDenied" if options.not_ready_status == 403 else "NoSuchKey")  # noqa: PLR2004 - HTTP
        if self._exports.expired(export):
            return _error_response(options.expired_code)
        if request.method == "HEAD":
            return Response(media_type="application/zip")
        headers = {"content-encoding": "gzip"} if options.gzip_layers else None
        return StreamingResponse(streamed(self._exports.archive(export)), 200, headers, "application/zip")


def _error_response(code: str) -> Response:
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{_TEXT[code]}</Message>'
        "<RequestId>8QK2V7T0SANDBOX1</RequestId><HostId>sandbox</HostId></Error>"
    )
    return Response(text, _STATUS.get(code, 403), media_type="application/xml")
