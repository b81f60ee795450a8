"""What Braze's series belong to: campaigns, Canvases, segments, apps and events."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tap_cdp_export.errors import CredentialsRefused, RequestRefused
from tap_cdp_export.files.prefetch import prefetch
from tap_cdp_export.vendors.braze.tables.lists import CUSTOM_EVENTS, EVENT_NAMES, all_segments, listed
from tap_cdp_export.vendors.braze.tables.paging import linked
from tap_cdp_export.vendors.braze.tables.series_stream import Subject
from tap_cdp_export.vendors.braze.tables.spans import Span, span_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_cdp_export.vendors.braze.api import BrazeApi
    from tap_cdp_export.vendors.braze.tables.endpoint import Endpoint

logger = logging.getLogger(__name__)

ALL_APPS = "all"
_FORBIDDEN = 403
_UNBOUNDED: Span = (None, None)


def sendables(
    api: BrazeApi, endpoint: Endpoint, details: Endpoint, parameter: str, parallel_requests: int
) -> list[Subject]:
    """List campaigns or Canvases, each with the days in which it was in use.

    Args:
        api: where to ask.
        endpoint: of their list.
        details: of one of them; without its permission no days are known.
        parameter: name of the query parameter and of the key column.
        parallel_requests: how many details are asked for at the same time.

    Returns:
        The subjects.
    """
    identifiers = listed(api, endpoint)
    _read_spans(api, details, parameter, [one for one in identifiers if one not in api.spans], parallel_requests)
    return [
        Subject(identifier, {parameter: identifier}, {parameter: identifier}, api.spans.get(identifier, _UNBOUNDED))
        for identifier in identifiers
    ]


def _read_spans(
    api: BrazeApi, details: Endpoint, parameter: str, identifiers: Sequence[str], parallel_requests: int
) -> None:
    def span(identifier: str) -> Span:
        try:
            return span_of(details.get(api, {parameter: identifier}).content)
        except RequestRefused:  # the request for its series is told of in its turn
            return _UNBOUNDED

    try:
        for some in (identifiers[:1], identifiers[1:]):  # the first one tells whether the permission is there
            for identifier, days in zip(some, prefetch(some, span, number=parallel_requests), strict=True):
                api.spans[identifier] = days
    except CredentialsRefused as error:
        if error.status != _FORBIDDEN:
            raise
        logger.warning(
            "The key of braze.api_key lacks the permission %s: the statistics are asked for from start_date on, also "
            "of what was not in use then, which takes more requests.",
            details.permission,
        )


def segments(api: BrazeApi) -> list[Subject]:
    """List the segments whose size is tracked; the others have no series.

    Args:
        api: where to ask.

    Returns:
        The subjects.
    """
    return [
        Subject(segment["id"], {"segment_id": segment["id"]}, {"segment_id": segment["id"]})
        for segment in all_segments(api)
        if segment.get("analytics_tracking_enabled") is True
    ]


def apps(app_ids: Sequence[str]) -> list[Subject]:
    """Give the configured apps, or their sum.

    Args:
        app_ids: the setting `app_ids`; empty without it.

    Returns:
        The subjects.
    """
    chosen = [Subject(app, {"app_id": app}, {"app_id": app}) for app in dict.fromkeys(app_ids)]
    return chosen or [Subject(ALL_APPS, {}, {"app_id": ALL_APPS})]


def events(api: BrazeApi, app_ids: Sequence[str]) -> list[Subject]:
    """List the custom events, each for every app.

    Args:
        api: where to ask: the names of events, or without that permission the definitions of events.
        app_ids: the setting `app_ids`.

    Returns:
        The subjects.

    Raises:
        CredentialsRefused: If both permissions are missing.
    """
    try:
        names = listed(api, EVENT_NAMES, field="name")
    except CredentialsRefused as refusal:
        logger.info(
            "The key of braze.api_key lacks the permission %s; %s are asked for.",
            EVENT_NAMES.permission,
            CUSTOM_EVENTS.what,
        )
        try:
            names = listed(api, CUSTOM_EVENTS, linked, "name")
        except CredentialsRefused:
            raise refusal from None
    return [
        Subject(f"{name} ({app.name})", {"event": name, **app.params}, {"event": name, **app.keys})
        for name in names
        for app in apps(app_ids)
    ]
