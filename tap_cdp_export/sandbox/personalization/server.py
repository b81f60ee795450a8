"""Endpoints of Personalization: synchronous exports, HTTP Basic, pages from 0, errors in plain text."""

from __future__ import annotations

import base64
import binascii
import gzip
import hmac
import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from tap_cdp_export.sandbox.personalization import export_users as view
from tap_cdp_export.sandbox.personalization.csv_pages import csv_page
from tap_cdp_export.sandbox.responses import gzipped, streamed, time_in, unchecked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from starlette.requests import Request

    from tap_cdp_export.sandbox.options import Options, PersonalizationOptions
    from tap_cdp_export.sandbox.population import Population

_LARGEST_BUFFERED = 5_000  # records of the largest page that is sent with Content-Length
_TIMES = frozenset({"firstActivity", "lastActivity", "segmentJoined"})
_FIRST_MILLISECONDS = 100_000_000_000  # smaller values would be seconds


class _Refused(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class _Parameters(NamedTuple):
    """Validated parameters of a request."""

    dataset: str
    kind: str
    suffix: str
    segment: view.Segment | None
    is_empty: bool  # an unknown segment is treated as an empty one
    window: view.Statistics
    include_geo: bool
    page: int
    page_size: int | None


class Personalization:
    """The user and account exports, in JSON and CSV."""

    def __init__(self, options: Options, population: Population) -> None:
        """Serve this dataset under these options."""
        self._options = options
        self._population = population
        self._response_numbers = itertools.count()

    def routes(self) -> list[BaseRoute]:
        """Routes of the vendor."""
        return [Route("/api/dataset/{dataset}/{file}", self._export, methods=["GET"])]

    async def _export(self, request: Request) -> Response:
        options = self._options.personalization
        try:
            self._authorize(request)
            parameters = self._parse(request)
        except _Refused as refusal:
            headers = {"www-authenticate": 'Basic realm="Personalization"'} if refusal.status == 401 else None  # noqa: PLR2004 - HTTP
            return Response(str(refusal), refusal.status, headers, "text/plain")
        media_type = "application/json" if parameters.suffix == "json" else "text/csv"
        records = self._records(parameters)
        if parameters.suffix == "json" and parameters.page and options.past_end != "empty":
            first = next(records, None)
            if first is None:
                return _past_end(options.past_end)
            records = itertools.chain([first], records)
        parts: Iterable[bytes]
        if parameters.suffix == "csv":
            parts = csv_page(records, parameters.kind, options, paged=parameters.page_size is not None)
        else:
            shaped = (_json_record(record, options) for record in records)
            parts = _array(shaped, unchecked(options.raw_record) if parameters.page == 0 else b"")
        parts = gzipped(parts, options.gzip_layers)
        if parameters.page_size is None or parameters.page_size > _LARGEST_BUFFERED or not options.content_length:
            return StreamingResponse(streamed(parts), media_type=media_type)
        body = b"".join([chunk async for chunk in streamed(parts)])
        if options.gzip and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(gzip.compress(body), headers={"content-encoding": "gzip"}, media_type=media_type)
        return Response(body, media_type=media_type)

    def _authorize(self, request: Request) -> None:
        """Check the API token: its secret, switches and restrictions."""
        options = self._options.personalization
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        try:
            credentials = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            credentials = b""
        expected_credentials = f"{options.api_key_id}:{options.api_key_secret}".encode()
        if scheme.lower() != "basic" or not hmac.compare_digest(credentials, expected_credentials):
            raise _Refused(401, "Unauthorized")
        dataset = request.path_params["dataset"]
        if not options.can_access_api:
            raise _Refused(403, "API access is not enabled for this token")
        if not options.ip_accepted:
            raise _Refused(403, "Address not accepted")
        if options.token_datasets is not None and dataset not in options.token_datasets:
            raise _Refused(403, "Token is restricted to other datasets")

    def _parse(self, request: Request) -> _Parameters:
        options, query = self._options.personalization, request.query_params
        dataset = request.path_params["dataset"]
        kind, _, suffix = request.path_params["file"].partition(".")
        if kind not in ("users", "accounts") or suffix not in ("json", "csv"):
            raise _Refused(404, "Not found")
        if dataset not in view.DATASETS:
            raise _Refused(404, "Dataset not found")
        if kind == "accounts" and options.accounts_status != 200:  # noqa: PLR2004 - HTTP
            raise _Refused(options.accounts_status, "Account profiles are not available")
        if "_at" in query:
            raise _Refused(400, "Query string tokens are no longer accepted")
        if query.get("includeGeo", "true") not in (("true", "false") if kind == "users" else ("true",)):
            raise _Refused(400, "includeGeo must be true")
        if "includeGeo" in query and kind == "accounts":
            raise _Refused(400, "includeGeo is for users only")
        if "page" in query and "pageSize" not in query:
            raise _Refused(400, "page needs pageSize")
        segment, is_empty = self._segment(request)
        at = self._population.now()
        default = view.Statistics.default(at)
        end = _whole(request, "end", _FIRST_MILLISECONDS) or default.end
        start = _whole(request, "start", _FIRST_MILLISECONDS) or min(default.start, end - 1)
        if start >= end:
            raise _Refused(400, "start must be before end")
        return _Parameters(
            dataset=dataset,
            kind=kind,
            suffix=suffix,
            segment=segment,
            is_empty=is_empty,
            window=view.Statistics(start, end),
            include_geo=query.get("includeGeo") == "true",
            page=_whole(request, "page", 0) or 0,
            page_size=_whole(request, "pageSize", 1),
        )

    def _segment(self, request: Request) -> tuple[view.Segment | None, bool]:
        """Find the segment given by `filter` (name or ID) or `segmentId`; also return whether it is unknown."""
        query = request.query_params
        if query.get("segmentationId", view.SEGMENTATION) != view.SEGMENTATION:
            return self._unknown("Segmentation not found")
        result = None
        for parameter in ("filter", "segmentId"):
            if parameter in query:
                value = query[parameter]
                names = {segment.identifier: segment for segment in view.SEGMENTS}
                if parameter == "filter":
                    names.update({segment.name: segment for segment in view.SEGMENTS})
                if value not in names:
                    return self._unknown("Segment not found")
                result = names[value]
        return result, False

    def _unknown(self, text: str) -> tuple[None, bool]:
        if self._options.personalization.unknown_segment == "404":
            raise _Refused(404, text)
        return None, True

    def _records(self, parameters: _Parameters) -> Iterator[dict[str, Any]]:
        """Yield the records of one page, or of the whole body."""
        options, population, at = self._options.personalization, self._population, self._population.now()
        places = view.DATASETS[parameters.dataset] & (
            parameters.segment.places if parameters.segment else view.DATASETS[parameters.dataset]
        )
        if parameters.is_empty:
            members = 0
        elif parameters.kind == "users":
            members = view.member_count(places, population.people(at))
        else:
            members = population.companies(at) if parameters.dataset == view.SHOP_BUSINESS else 0
        style = view.Style(
            include_geo=parameters.include_geo,
            segment=parameters.segment,
            exponents=options.exponents,
            unknown_fields=options.unknown_fields,
            attribute_list=options.attribute_list,
        )
        response_number = next(self._response_numbers)
        start, stop = self._slice(parameters, view.entries(members, options.repeat_every))
        for position, outdated in view.listing(members, options.repeat_every, start, stop):
            if parameters.kind == "users":
                customer = population.customer(view.nth_member(places, position), at)
                record = view.user(customer, parameters.dataset, parameters.window, style, outdated=outdated)
            else:
                opened = population.company_opened(position)
                record = view.account(position, opened, at, parameters.window, outdated=outdated)
            if options.moving_times:
                record["lastActivity"] = at + response_number
            for field in _TIMES & record.keys():
                unset = -(record["totalActions"] % 2)
                record[field] = unset if options.times == "unset" else time_in(options.times, record[field])
            yield record

    def _slice(self, parameters: _Parameters, entries: int) -> tuple[int, int]:
        """Range of entries that a page contains."""
        options = self._options.personalization
        if parameters.page_size is None:
            return 0, entries
        size = min(parameters.page_size, options.page_cap or parameters.page_size)
        page = 0 if options.ignores_page else parameters.page
        if options.short_pages:
            half_size = (size + 1) // 2
            start = page // 2 * (size + half_size) + page % 2 * size
            return start, start + (half_size if page % 2 else size)
        start = max(0, page * size - page * options.shift_per_page)
        return start, start + size


def _whole(request: Request, name: str, least: int) -> int | None:
    """Parse a parameter as a whole number of at least `least`; None if it is missing."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal()) or int(text) < least:
        raise _Refused(400, f"{name} is not valid")
    return int(text)


def _json_record(record: dict[str, Any], options: PersonalizationOptions) -> dict[str, Any]:
    """Write a record with the names and numbers that the options ask for."""
    if options.bare_nan and record["engagementPercentChange"] == 0:
        record["engagementPercentChange"] = msgspec.Raw(b"NaN")
    return {options.json_key if name == "name" else name: value for name, value in record.items()}


def _past_end(form: str) -> Response:
    if form.isdecimal():
        return Response(b"" if form == "204" else "Page not found", int(form))
    return Response(form, media_type="application/json")


def _array(records: Iterator[dict[str, Any]], first: bytes) -> Iterator[bytes]:
    """Yield the parts of a JSON array; `first` is an encoded record, or empty."""
    lead = b"["
    if first:
        yield lead + first
        lead = b","
    for record in records:
        yield lead + msgspec.json.encode(record)
        lead = b","
    yield b"]" if lead == b"," else b"[]"
