"""The facts that docs/vendors/personalization.md and docs/vendors/endpoints.md mark unknown."""

from __future__ import annotations

from typing import Final

from tap_cdp_export.check.facts import Unknown

_WHOLE_DATASET: Final = "takes a request that may export the whole dataset"

UNKNOWNS: Final = (
    Unknown("personalization.page-cap", "A page holds as many records as `pageSize` asks for."),
    Unknown("personalization.page-alone", "What `page` without `pageSize` gives.", takes=_WHOLE_DATASET),
    Unknown("personalization.page-size-zero", "What a `pageSize` of 0 gives.", takes=_WHOLE_DATASET),
    Unknown("personalization.json-end", "A page past the end is an empty array."),
    Unknown("personalization.order", "The same page asked for twice holds the same users in the same order."),
    Unknown("personalization.csv-end", "A CSV page past the end is a header alone."),
    Unknown("personalization.csv-key", "The key column of a CSV is `name`."),
    Unknown("personalization.csv-dialect", "A CSV is separated by commas and begins without a byte-order mark."),
    Unknown("personalization.csv-length", "A CSV page comes with a length, or in chunks."),
    Unknown("personalization.key", "The identifier of every user is a text in `name`."),
    Unknown("personalization.user-fields", "A user has no other fields than those of section 4."),
    Unknown("personalization.email-address", "Users with an address have it in `emailAddress`."),
    Unknown("personalization.attributes", "`attributes` is an object of plain values."),
    Unknown("personalization.segments", "The segments of a user are an array of texts in `segments`."),
    Unknown("personalization.segment-names", "`segments` holds names, not IDs."),
    Unknown("personalization.location", "`includeGeo` adds an object `location`."),
    Unknown("personalization.total-actions", "`totalActions` does not depend on `start` and `end`."),
    Unknown("personalization.window-fields", "The fields of a user do not depend on `start` and `end`."),
    Unknown(
        "personalization.percent-window",
        "Which windows `engagementPercentChange` compares without `start` and `end`.",
        takes="takes knowledge of the dataset's settings",
    ),
    Unknown(
        "personalization.end-inclusive",
        "Whether `end` is part of the window.",
        takes="takes a user who was active in a known millisecond",
    ),
    Unknown(
        "personalization.both-segments",
        "Which of `filter` and `segmentId` wins.",
        takes="takes two segments that overlap in part",
    ),
    Unknown("personalization.unknown-segment", "An unknown segment is refused with 404."),
    Unknown("personalization.unknown-dataset", "An unknown dataset is refused with 404."),
    Unknown("personalization.error-text", "The body of a refusal is plain text."),
    Unknown("personalization.throttled", "429 comes with `Retry-After`."),
    Unknown("personalization.accounts", "`accounts.json` is answered with 200 and an array."),
    Unknown("personalization.gzip", "A page is compressed when the request accepts gzip."),
    Unknown("personalization.content-types", "JSON comes as `application/json`, CSV as `text/csv`."),
    Unknown("personalization.first-byte", "A page of five users begins within a second."),
    Unknown(
        "personalization.audit-range",
        "How the parameters of the audit log's range are named.",
        takes="the tap does not read it",
    ),
    Unknown(
        "personalization.audit-fields",
        "Which fields an entry of the audit log has.",
        takes="the tap does not read it",
    ),
)
