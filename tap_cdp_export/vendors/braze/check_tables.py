"""What the check asks of the tables around the users: one request for each permission that they need."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from tap_cdp_export.records.mapper import any_time
from tap_cdp_export.vendors.braze.api import PURCHASES
from tap_cdp_export.vendors.braze.tables.lists import EVENT_NAMES, BrazeCanvases, ListStream
from tap_cdp_export.vendors.braze.tables.series_stream import SeriesStream
from tap_cdp_export.vendors.braze.tables.sources import SOURCES
from tap_cdp_export.vendors.braze.tables.suppressions import SuppressionStream

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tap_cdp_export.check.observer import Observation
    from tap_cdp_export.check.vendor_check import RecordFact
    from tap_cdp_export.vendors.braze.tables.stream import TableStream

_TABLES: Final = tuple(cast("tuple[type[TableStream], ...]", streams) for _, streams in SOURCES)
_IDENTITIES: Final = ("campaign_id", "canvas_id", "segment_id", "event")
_REQUESTS_PER_HOUR: Final = "1000"
_SAMPLE: Final = 20
_MONTH: Final = timedelta(days=30)
_DAY: Final = timedelta(days=1)

TABLE_NAMES: Final = frozenset(
    name
    for streams in _TABLES
    for stream in streams
    for name in (*stream.columns["properties"], *stream.renamed.values(), stream.endpoint.data_key)
)
"""Documented names of their fields."""


class Get(Protocol):
    """Sends a request that needs a right."""

    def __call__(self, path: str, what: str, *, right: str, **params: Any) -> Observation:  # noqa: ANN401 -- query parameters
        """Send it."""


def check_tables(get: Get, known: Mapping[str, str], asked: Collection[str], record: RecordFact) -> None:
    """Ask each endpoint once: a key without its permission is refused, whatever else the request lacks.

    Args:
        get: sends a request.
        known: IDs to ask for, by parameter, as far as the answers before have told.
        asked: paths that the check has asked before.
        record: records the outcome of a claim.
    """
    listed = get(EVENT_NAMES.path, EVENT_NAMES.what, right=f"{EVENT_NAMES.permission} (braze_event_counts)", page=0)
    events = listed.object.get("events")
    identities = dict(known)
    if isinstance(events, list) and events:
        identities["event"] = str(events[0])
    for streams in _TABLES:
        stream, endpoint = streams[0], streams[0].endpoint
        if endpoint.path in asked:
            continue
        names = ", ".join(str(each.name) for each in streams)  # type: ignore[misc]  # declared in the class of each
        right = f"{endpoint.permission} ({names})"
        answer = get(endpoint.path, endpoint.what, right=right, **endpoint.params, **_params(stream, identities))
        if stream is BrazeCanvases and (canvases := answer.objects("canvases")):
            identities["canvas_id"] = str(canvases[0].get("id"))
        limit = answer.headers.get("X-RateLimit-Limit", "").strip()
        if endpoint.pool == PURCHASES and limit:
            record("purchase-limit", holds=limit == _REQUESTS_PER_HOUR)
        if issubclass(stream, SuppressionStream) and "sort_direction" not in endpoint.params:
            times = [str(any_time(item.get(str(stream.replication_key)))) for item in answer.objects(endpoint.data_key)]
            if len(set(times)) > 1:
                record("suppression-order", holds=times in (sorted(times), sorted(times, reverse=True)))


def _params(stream: type[TableStream], identities: Mapping[str, str]) -> dict[str, Any]:
    now = datetime.now(UTC)
    if issubclass(stream, ListStream):
        return {}
    if issubclass(stream, SuppressionStream):
        return {"start_date": f"{now - _MONTH:%Y-%m-%d}", "end_date": f"{now + _DAY:%Y-%m-%d}", "limit": _SAMPLE}
    of_one = {
        name: identities[name] for name in _IDENTITIES if name in stream.columns["properties"] and name in identities
    }
    if issubclass(stream, SeriesStream):
        return {"length": 1, "ending_at": f"{now:%Y-%m-%dT%H:%M:%SZ}", **stream.params, **of_one}
    return of_one
