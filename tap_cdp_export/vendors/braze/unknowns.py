"""The facts that docs/vendors/braze.md and docs/vendors/endpoints.md mark unknown."""

from __future__ import annotations

from typing import Final

from tap_cdp_export.check.facts import Unknown

_MANY: Final = "takes more exports than one"
_CALLBACK: Final = "takes a receiver that Braze can reach"
_HOURS: Final = "takes hours of waiting"

UNKNOWNS: Final = (
    Unknown("braze.refusal", "A bad request is refused with 400 and a JSON object with `message`."),
    Unknown("braze.busy-text", "429 for a busy segment has `already in progress` in its text."),
    Unknown("braze.company-limit", "With which status more than a hundred running exports are refused.", takes=_MANY),
    Unknown("braze.unknown-fields", "Unknown names in `fields_to_export` are ignored."),
    Unknown("braze.presigned", "The download URL has no query."),
    Unknown("braze.storage-error", "The storage host answers errors as S3 does, in XML with `Code`."),
    Unknown("braze.not-ready", "A URL that is not ready is answered with 403."),
    Unknown("braze.url-lifetime", "How long a URL lives, and from when.", takes=_HOURS),
    Unknown("braze.url-archive", "By URL the archive is a zip, whatever `output_format` says."),
    Unknown("braze.member-names", "The files in the archive end in `.txt`."),
    Unknown("braze.empty-segment", "The archive of an empty segment holds no file."),
    Unknown("braze.chosen-attributes", "Custom attributes asked for one by one come in `custom_attributes`."),
    Unknown("braze.time-values", "A time in `custom_attributes` is a text, not an object with `$time`."),
    Unknown("braze.created-from", "`created_from` is a text."),
    Unknown("braze.uninstalled-at", "`uninstalled_at` is a date-time as text."),
    Unknown("braze.in-control", "`in_control` of a Canvas is a boolean."),
    Unknown("braze.sessions", "`sessions` of an app is an integer."),
    Unknown("braze.coordinates", "`last_coordinates` begins with the longitude."),
    Unknown("braze.callback-failure", "Whether a failed export is called back.", takes=_CALLBACK),
    Unknown("braze.callback-delivery", "How often a callback is sent, and how it is signed.", takes=_CALLBACK),
    Unknown("braze.cancel", "What a request to cancel is answered with.", takes="takes an export to cancel"),
    Unknown("braze.bucket-end", "What marks the last file in a bucket.", takes="takes an export into a bucket"),
    Unknown("braze.url-size", "How large an archive by URL may be.", takes="takes an export of that size"),
    Unknown(
        "braze.failure-frees", "Whether a failed export frees its segment at once.", takes="takes an export that fails"
    ),
    Unknown("braze.list-end", "A page shorter than 100 is the last of a list of campaigns."),
    Unknown("braze.retention", "How long statistics of campaigns are kept.", takes="takes a campaign of known age"),
    Unknown(
        "braze.series-end",
        "Whether the day of `ending_at` is among the days of a series.",
        takes="takes the company's time zone",
    ),
    Unknown("braze.product-page-size", "A page of the product list holds at most 100 products."),
    Unknown("braze.product-pages", "The product list begins with page 0."),
    Unknown(
        "braze.data-types",
        "The data types are String, Number, Boolean, Date/Time, Date (Automatically Detected), Array and Object.",
    ),
    Unknown("braze.attribute-status", "The states of a custom attribute are Active, Blocklisted and Deleted."),
    Unknown("braze.purchase-limit", "The two series of purchases are limited to 1,000 requests an hour."),
    Unknown("braze.suppression-order", "Hard bounces and invalid telephone numbers come in the order of their times."),
)
