"""Administration endpoints of the sandbox, for tests and other processes; no credentials, as it is on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tap_cdp_export.sandbox.clock import milliseconds
from tap_cdp_export.sandbox.responses import json_response

if TYPE_CHECKING:
    from starlette.requests import Request

    from tap_cdp_export.sandbox.options import Options
    from tap_cdp_export.sandbox.population import Population
    from tap_cdp_export.sandbox.request_log import RequestLog


class Admin:
    """Endpoints for options, request log, counts and clock."""

    def __init__(self, options: Options, population: Population, request_log: RequestLog) -> None:
        """Serve these objects."""
        self._options = options
        self._population = population
        self._request_log = request_log

    def routes(self) -> list[BaseRoute]:
        """Routes below `/_sandbox`."""
        return [
            Route("/_sandbox/options", self._show_options, methods=["GET"]),
            Route("/_sandbox/options", self._change_options, methods=["POST"]),
            Route("/_sandbox/ledger", self._show_request_log, methods=["GET"]),
            Route("/_sandbox/ledger", self._clear_request_log, methods=["DELETE"]),
            Route("/_sandbox/counts", self._counts, methods=["GET"]),
            Route("/_sandbox/clock", self._set_clock, methods=["POST"]),
        ]

    async def _show_options(self, _request: Request) -> Response:
        return json_response(self._options)

    async def _change_options(self, request: Request) -> Response:
        try:
            self._options.update(msgspec.json.decode(await request.body()))
        except (msgspec.DecodeError, TypeError, AttributeError) as error:
            return json_response({"error": str(error)}, 400)
        return json_response(self._options)

    async def _show_request_log(self, _request: Request) -> Response:
        return json_response(self._request_log.log)

    async def _clear_request_log(self, _request: Request) -> Response:
        self._request_log.clear()
        return Response(status_code=204)

    async def _counts(self, request: Request) -> Response:
        query = request.query_params
        try:
            return json_response(self._population.counts(start=query["start"], end=query["end"], at=query.get("at")))
        except (KeyError, ValueError):
            return json_response({"error": "start and end are needed, as RFC 3339"}, 400)

    async def _set_clock(self, request: Request) -> Response:
        try:
            now = msgspec.json.decode(await request.body())["now"]
            if now is not None:
                milliseconds(now)
        except (msgspec.DecodeError, KeyError, TypeError, ValueError):
            return json_response({"error": "now must be RFC 3339, or null"}, 400)
        self._options.population.now = now
        return json_response({"now": now})
