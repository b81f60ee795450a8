"""The facts that docs/vendors/apsis.md and docs/vendors/endpoints.md mark unknown."""

from __future__ import annotations

from typing import Final

from tap_cdp_export.check.facts import Unknown

_NOT_READ: Final = "the tap does not read this endpoint"
_TOO_MANY: Final = "takes more exports than one"

UNKNOWNS: Final = (
    Unknown("apsis.items", "A request whose items are `{section_discriminator, version_id}` is accepted."),
    Unknown(
        "apsis.segment-filter", "A request whose `segment_filter` is `{segment_discriminator, timezone}` is accepted."
    ),
    Unknown("apsis.topics-request", "With which field topic state is asked for.", takes=_TOO_MANY),
    Unknown("apsis.three-months", "Whether the three months of a window are calendar months.", takes=_TOO_MANY),
    Unknown(
        "apsis.window-inclusive",
        "Whether `start_at` and `end_at` are part of the window.",
        takes="takes an event whose millisecond is known",
    ),
    Unknown("apsis.window-clock", "`start_at` and `end_at` are compared with `createdAt`."),
    Unknown("apsis.late-events", "How late an event can be exported after it was created.", takes=_TOO_MANY),
    Unknown("apsis.request-status", "An accepted request is answered with 202."),
    Unknown("apsis.poll-url-field", "The poll URL is in `file_download_url`."),
    Unknown("apsis.poll-url-absolute", "The poll URL is absolute."),
    Unknown("apsis.poll-status", "An export that is not ready is answered with 404."),
    Unknown("apsis.poll-retry-after", "The answer to a poll has no `Retry-After`."),
    Unknown("apsis.failure", "An export that fails is answered with 503."),
    Unknown("apsis.pending-limit", "How many exports may be pending.", takes=_TOO_MANY),
    Unknown("apsis.file-size", "How large a file may be.", takes="takes an export of that size"),
    Unknown("apsis.pace", "Whether the pace is that of profile exports or of event exports.", takes=_TOO_MANY),
    Unknown("apsis.refusal-status", "A request that cannot be served is refused with 400."),
    Unknown("apsis.error-type", "The body of a refusal is `application/problem+json`."),
    Unknown("apsis.profile-key", "The export key of a profile is a UUID."),
    Unknown("apsis.file-fields", "Nothing stands beside `profiles`, and a profile holds `sections` alone."),
    Unknown("apsis.section-fields", "A section of the file holds `attributes` and `events` alone."),
    Unknown("apsis.empty-sections", "A section without any requested value is left out."),
    Unknown("apsis.attribute-keys", "The keys of `attributes` are version IDs."),
    Unknown("apsis.type-id", "`typeId` is a text."),
    Unknown("apsis.timestamp", "The value of a Timestamp attribute is a number."),
    Unknown("apsis.section-id", "The ID of a section is in `id`."),
    Unknown("apsis.tag-fields", "A tag is listed with `discriminator`, `name` and `versions`."),
    Unknown("apsis.event-versions", "A version of an event type is listed with `id` and `deprecated_at` alone."),
    Unknown("apsis.keyspace-fields", "A keyspace is listed with `discriminator` and `name` alone."),
    Unknown("apsis.list-paging", "A list of definitions comes in one page."),
    Unknown("apsis.report-id", "In which field a request for e-mail events is answered with its ID.", takes=_NOT_READ),
    Unknown("apsis.report-status", "Which states such a report has beside `completed`.", takes=_NOT_READ),
    Unknown("apsis.report-token", "Whether its file is downloaded with the bearer token.", takes=_NOT_READ),
    Unknown("apsis.report-columns", "Which columns it has beside those listed.", takes=_NOT_READ),
    Unknown("apsis.report-limits", "Which limits and which dialect it has.", takes=_NOT_READ),
    Unknown(
        "apsis.members-option",
        "With which option unknown profiles are left out of a segment's report.",
        takes=_NOT_READ,
    ),
    Unknown("apsis.members-key", "How the column of the export key is named.", takes=_NOT_READ),
    Unknown("apsis.activities", "Where activities are listed.", takes=_NOT_READ),
)
