"""All options of the sandbox, with defaults and descriptions."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct, field

PERMISSIONS = (
    "users.export.segment", "segments.list", "segments.details", "segments.data_series",
    "campaigns.list", "campaigns.details", "campaigns.data_series",
    "canvas.list", "canvas.details", "canvas.data_series",
    "kpi.new_users.data_series", "kpi.dau.data_series", "kpi.mau.data_series", "kpi.uninstalls.data_series",
    "sessions.data_series", "purchases.revenue_series", "purchases.quantity_series", "purchases.product_list",
    "events.list", "events.get", "events.data_series", "custom_attributes.get",
    "email.hard_bounces", "email.unsubscribe", "sms.invalid_phone_numbers",
)  # fmt: skip
"""Every permission of a key of Braze that the sandbox has an endpoint for."""


class PopulationOptions(Struct, forbid_unknown_fields=True):
    """Size and seed of the synthetic dataset, and the time of the sandbox.

    Attributes:
        seed: The same seed gives the same people and the same activities.
        users: People who sign up in the shop's first two years; the rate stays the same afterwards.
        companies: Companies that open an account in the first two years; the rate stays the same afterwards.
        opened: Opening time of the shop (RFC 3339).
        now: Freezes the sandbox's time (RFC 3339); null is real time.
    """

    seed: int = 7
    users: int = 1_000
    companies: int = 60
    opened: str = "2024-12-01T00:00:00Z"
    now: str | None = None


class PersonalizationOptions(Struct, forbid_unknown_fields=True):
    """Salesforce Marketing Cloud Personalization, the user and account exports.

    Attributes:
        api_key_id: ID of the API token, the Basic user name.
        api_key_secret: Secret of the API token, the Basic password.
        can_access_api: The token's switch "Can access API"; if false, requests get 403.
        token_datasets: Datasets the token is limited to (null: all); others get 403.
        ip_accepted: If false, the client is not on the token's IP accept list: 403.
        page_cap: Maximum number of records on a page, whatever `pageSize` says; 0 is no limit.
        short_pages: Every second page is half full, even if it is not the last.
        ignores_page: The server returns page 0 for every page number.
        moving_times: The last activity of every user is later in each response.
        shift_per_page: Users inserted (positive) or deleted (negative) before the current position between two pages.
        repeat_every: After this many users, one of them is repeated in a newer version; 0 is never.
        unknown_segment: Response to an unknown `filter` or segment: "404" or an "empty" list.
        accounts_status: Status of `accounts.*`: 200, or 403 or 404 as on tenants after the retirement.
        exponents: Write some small numbers in Java's notation, `2.0E-4`.
        unknown_fields: Send undocumented fields.
        attribute_list: For one user in fifty, `attributes` is a list of objects with name, value and updated.
        gzip: Compress pages up to 5,000 records if the client accepts gzip.
        content_length: Send Content-Length for pages up to 5,000 records; if false, they are chunked.
        raw_record: Raw text that is sent as the first record of the first JSON page; "" is none.
        json_key: Field of the identifier in JSON.
        times: Form of times: "milliseconds", "seconds", ISO 8601 "text" with an offset, or "unset" (0 or -1).
        bare_nan: Write a bare NaN in JSON where the engagement has not changed.
        past_end: Response to a JSON page past the end: an "empty" list, "null", or status "204" or "404".
        gzip_layers: Number of times the body is compressed as gzip.
        csv_bom: Start the CSV with a byte-order mark.
        csv_crlf: End CSV lines with CR LF.
        csv_end: Content of a CSV page past the end: the "header" only, or nothing ("empty").
        csv_columns_vary: Each CSV page has only the attribute columns of its own users.
        csv_shuffled: Reverse the order of the CSV columns.
        csv_key: Header of the key column.
        csv_quoted_newlines: Some CSV cells contain newlines, quotes and commas.
        csv_blank_last_line: The CSV ends with a blank line.
        csv_duplicate_header: Give two CSV columns the same header.
        csv_list_separator: Separator of the segments in a CSV cell.
        csv_delimiter: Separator of the CSV cells.
        csv_blank_first_line: The CSV begins with a blank line.
    """

    api_key_id: str = "sandbox-key-id"
    api_key_secret: str = "sandbox-key-secret"  # noqa: S105 - invented
    can_access_api: bool = True
    token_datasets: list[str] | None = None
    ip_accepted: bool = True
    page_cap: int = 0
    short_pages: bool = False
    ignores_page: bool = False
    moving_times: bool = False
    shift_per_page: int = 0
    repeat_every: int = 40
    unknown_segment: Literal["404", "empty"] = "404"
    accounts_status: Literal[200, 403, 404] = 200
    exponents: bool = True
    unknown_fields: bool = True
    attribute_list: bool = True
    gzip: bool = False
    content_length: bool = True
    raw_record: str = ""
    json_key: str = "name"
    times: Literal["milliseconds", "seconds", "text", "unset"] = "milliseconds"
    bare_nan: bool = False
    past_end: Literal["empty", "null", "204", "404"] = "empty"
    gzip_layers: int = 0
    csv_bom: bool = False
    csv_crlf: bool = False
    csv_end: Literal["header", "empty"] = "header"
    csv_columns_vary: bool = False
    csv_shuffled: bool = False
    csv_key: str = "name"
    csv_quoted_newlines: bool = True
    csv_blank_last_line: bool = False
    csv_duplicate_header: bool = False
    csv_list_separator: str = "|"
    csv_delimiter: str = ","
    csv_blank_first_line: bool = False


class ApsisOptions(Struct, forbid_unknown_fields=True):
    """APSIS One, the profile in segment event export.

    Attributes:
        client_id: Client ID of the API key.
        client_secret: Client secret of the API key.
        token_seconds: Lifetime of a token, by the machine's clock.
        expires_in: Value of the deprecated `expires_in` of the token response; null is the real lifetime.
        tokens_per_minute: Token requests per minute; 0 is no limit.
        exports_per_minute: Export requests per minute; 0 is no limit.
        downloads_per_minute: Polls and downloads per minute; 0 is no limit.
        pending_limit: Unfinished exports at the same time; 0 is no limit.
        retry_after: Seconds in `Retry-After` of a 429; null sends no header, as none is documented.
        request_status: Status of an accepted export request.
        url_field: Response field with the poll URL; "" sends a Location header instead.
        same_export: Every export request gets the poll URL of the first export.
        relative_url: The poll URL is relative to the host.
        poll_url_origin: Origin of the poll URL, such as http://api.apsis.one; "" is that of the request.
        poll_mode: Status until the file is ready: 404 ("v1") or 202 ("v2").
        polls_before_ready: Number of polls that get "not ready" first.
        ready_after_seconds: Seconds that must also pass before the file is ready.
        url_hours: Lifetime of the poll URL, by the sandbox's clock; then 410.
        failing_exports: Number of the next exports that fail: 503 once they would be ready.
        error_bodies: Number of the next exports that return 200 with an error instead of profiles.
        item_shape: The only shape of an item of `attributes`, `tags` and `events` that is accepted, as none is
            documented: "version_id", "discriminator", "field_name" (with one section at the top of the body), or "any".
        refuse_days_over: Exports with a window longer than this many days are too large; 0 is no limit.
        refuse_by: Response to such an export: it "fails" (503), returns 200 with an "error", or gets 413 or 400.
        expire_token_after_polls: The token expires after this many polls; 0 is never.
        expired_status: Status for an expired or revoked token.
        section_id_field: Field of `GET /audience/sections` with the ID that the file uses.
        reversed_keys: Reverse the order of object keys in the file.
        pretty: Write the file with indentation and newlines.
        metadata: Send a top-level `metadata` "before" or "after" the profiles, or "none".
        topics: Send topic states in each section, under a key that was not requested.
        raw_profile: Raw text that is sent as the first profile of the file, including its key; "" is none.
        null_for_empty: Write null for empty profiles, and for sections that would be left out as empty.
        tags: Form of a tag: a "null" value, an "absent" one, or "true".
        times: Form of times: "milliseconds", "seconds", or ISO 8601 "text" with an offset.
        byte_order_mark: Begin the file with a byte order mark.
        gzip_layers: Number of times the file is compressed where the client accepts gzip.
        late_seconds: Maximum delay between an event's `createdAt` and its visibility.
        least_late_seconds: Minimum of that delay.
    """

    client_id: str = "sandbox-client-id"
    client_secret: str = "sandbox-client-secret"  # noqa: S105 - invented
    token_seconds: int = 86_400
    expires_in: int | None = None
    tokens_per_minute: int = 10
    exports_per_minute: int = 0
    downloads_per_minute: int = 0
    pending_limit: int = 0
    retry_after: int | None = None
    request_status: Literal[200, 201, 202] = 201
    url_field: str = "file_download_url"
    same_export: bool = False
    relative_url: bool = False
    poll_url_origin: str = ""
    poll_mode: Literal["v1", "v2"] = "v1"
    polls_before_ready: int = 2
    ready_after_seconds: float = 0
    url_hours: float = 24
    failing_exports: int = 0
    error_bodies: int = 0
    item_shape: Literal["any", "version_id", "discriminator", "field_name"] = "any"
    refuse_days_over: float = 0
    refuse_by: Literal["fails", "error", "413", "400"] = "fails"
    expire_token_after_polls: int = 0
    expired_status: Literal[401, 403] = 401
    section_id_field: str = "id"
    reversed_keys: bool = False
    pretty: bool = False
    metadata: Literal["none", "before", "after"] = "none"
    topics: bool = False
    raw_profile: str = ""
    null_for_empty: bool = False
    tags: Literal["null", "absent", "true"] = "null"
    times: Literal["milliseconds", "seconds", "text"] = "milliseconds"
    byte_order_mark: bool = False
    gzip_layers: int = 1
    late_seconds: int = 900
    least_late_seconds: int = 0


class BrazeOptions(Struct, forbid_unknown_fields=True):
    """Braze, the export of user profiles by segment.

    Attributes:
        api_key: The REST API key, sent as Bearer.
        permissions: Permissions of the key, by default all; without one, its endpoint gets 403 "Access Denied".
        plan_includes_export: If false, the company's plan lacks the endpoint: 403 "Forbidden".
        requests_per_hour: Hourly limit of the workspace; then 429.
        name_requests_per_hour: The same of the lists of custom attributes, events and products together.
        campaign_series_per_minute: Limit of `campaigns/data_series` a minute.
        company_offset_hours: Hours by which the company's time zone, whose days the series have, is ahead of UTC.
        series_end: Whether the day of `ending_at` is among the days of a series: "inclusive" or "exclusive".
        series_kept_days: Number of days that series reach back; null is without a bound.
        series_too_old: Answer for days before that: "omit" them, or "refuse" a range that ends before with 400.
        first_product_page: Number of the first page of products.
        past_end: Answer to a page by number past the end: an "empty" list, "null", or status "404".
        most_suppressions: Most rows of a page of a suppression list, whatever `limit` says.
        more_campaigns: Further campaigns, which send webhooks to no user.
        more_definitions: Further custom attributes and custom events, which no user has.
        conversion_events: Number of conversion events of mail campaigns and Canvases: a click, and perhaps an open.
        control_groups: Mail campaigns have a control group, which gets no mail, as the Canvas always has.
        gone: IDs of campaigns, Canvases, segments and apps, and names of events, that were deleted.
        refused: IDs that the lists hold, but that are refused with 400 when asked for alone.
        other_exports: Number of exports of the company that run elsewhere; the limit is 100 in total.
        polls_before_ready: Polls of the URL (or refused requests for its segment) until the file is ready.
        ready_after_seconds: The file is ready after this time, regardless of polls; null counts polls.
        outcome: "ready"; "never": runs until cancelled; "fails": the URL never works, the segment is free again.
        not_ready_status: Status of the URL before the file is ready: 403 AccessDenied, or 404 NoSuchKey.
        url_hours: Lifetime of the URL once the file is ready, by the sandbox's clock.
        expired_exports: Number of next exports whose URL has expired by the time the file is ready.
        expired_form: Response to an expired URL: that of S3 for expired credentials ("s3_token") or an expired
            signature ("s3_url"), of Google Cloud Storage ("gcs", "gcs_v2"), of Azure ("azure"), or "denied".
        redirects: Number of redirects before each response of the storage host.
        redirect_status: Status of the redirects.
        redirect_form: Location of the redirects: "absolute", "relative", or the same URL again ("loop").
        redirect_target: URL that the last redirect leads to, such as one of a private address; "" is the storage host.
        url: Whether the response contains the URL: "given", "null" or "missing" (own bucket connected).
        url_query: Query string of the URL, such as "?X-Amz-Signature=x" of a presigned one.
        unknown_field_names: Unknown names in `fields_to_export`: "ignore" them, or "refuse" the request with 400.
        extra_field: Send a top-level field that was not requested.
        mixed_types: Vary the types of `sessions` and some custom attributes between users.
        repeat_every: After this many users, one of them is repeated; 0 is never.
        lines_per_file: Maximum number of users in one member of the archive.
        file_suffix: Suffix of the members' names.
        archive: Format: "asked" (as requested), or always "zip" or "gzip".
        blank_lines: Write blank lines between users.
        blank_members: Number of members with 64 MiB of newlines at the end of each zip.
        broken_lines: Number of lines in each export that are not valid JSON.
        raw_line: Raw text that is sent as the first line of each archive; "" is none.
        byte_order_marks: Begin each member of the archive with a byte order mark.
        side_files: Put __MACOSX, .DS_Store and _SUCCESS into each zip and into the bucket.
        zip_mark: First bytes of a zip: "none", or the mark of one that could have been split ("split").
        zip_padding: Number of zero bytes before each member of a zip.
        gzip_layers: Number of times the archive is compressed as gzip on its way, as Content-Encoding.
        prefix_form: Form of object_prefix: as "recorded", or "other".
        times: Form of created_at: as "recorded", with milliseconds and an "offset", or "seconds".
        empty_segment: Export of an empty segment: "empty_zip", "empty_member" or "never_ready".
        bucket_folder: Local folder that stands for the company's own bucket; exports are written below it.
        bucket_part_seconds: Pause before each archive in the bucket.
        bucket_late_seconds: Additional pause before the last archive, if there are several.
        bucket_day_shift: Days between the request and the date in the folder name.
    """

    api_key: str = "sandbox-api-key"
    permissions: list[str] = field(default_factory=lambda: list(PERMISSIONS))
    plan_includes_export: bool = True
    requests_per_hour: int = 250_000
    name_requests_per_hour: int = 1_000
    campaign_series_per_minute: int = 50_000
    company_offset_hours: float = 1
    series_end: Literal["inclusive", "exclusive"] = "inclusive"
    series_kept_days: int | None = None
    series_too_old: Literal["omit", "refuse"] = "omit"
    first_product_page: Literal[0, 1] = 0
    past_end: Literal["empty", "null", "404"] = "empty"
    most_suppressions: int = 500
    more_campaigns: int = 0
    more_definitions: int = 0
    conversion_events: Literal[1, 2] = 1
    control_groups: bool = False
    gone: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    other_exports: int = 0
    polls_before_ready: int = 2
    ready_after_seconds: float | None = None
    outcome: Literal["ready", "never", "fails"] = "ready"
    not_ready_status: Literal[403, 404] = 403
    url_hours: float = 4
    expired_exports: int = 0
    expired_form: Literal["s3_token", "s3_url", "gcs", "gcs_v2", "azure", "denied"] = "s3_token"
    redirects: int = 0
    redirect_status: Literal[301, 302, 303, 307, 308] = 307
    redirect_form: Literal["absolute", "relative", "loop"] = "absolute"
    redirect_target: str = ""
    url: Literal["given", "null", "missing"] = "given"
    url_query: str = ""
    unknown_field_names: Literal["ignore", "refuse"] = "ignore"
    extra_field: bool = False
    mixed_types: bool = True
    repeat_every: int = 500
    lines_per_file: int = 5_000
    file_suffix: str = ".txt"
    archive: Literal["asked", "zip", "gzip"] = "asked"
    blank_lines: bool = False
    blank_members: int = 0
    broken_lines: int = 0
    raw_line: str = ""
    byte_order_marks: bool = False
    side_files: bool = False
    zip_mark: Literal["none", "split"] = "none"
    zip_padding: int = 0
    gzip_layers: int = 0
    prefix_form: Literal["recorded", "other"] = "recorded"
    times: Literal["recorded", "offset", "seconds"] = "recorded"
    empty_segment: Literal["empty_zip", "empty_member", "never_ready"] = "empty_zip"
    bucket_folder: str | None = None
    bucket_part_seconds: float = 0.02
    bucket_late_seconds: float = 0
    bucket_day_shift: int = 0


class Fault(Struct, forbid_unknown_fields=True):
    """One entry of the fault plan: which requests fail, and how.

    Attributes:
        path: Regular expression that is searched in the request path.
        method: HTTP method; "" is any.
        skip: Number of matching requests to pass through first.
        times: Number of matching requests to answer with the fault; 0 is all.
        kind: "status", "html" (a login page with 200), "cut", "slow" (late first byte), "trickle", "drop",
            "unframed" (a body that ends with the connection), "part" (206 with the beginning of the body).
        status: Status of kind "status".
        body: Body of kind "status"; "" is an error in the vendor's format.
        headers: Additional headers of kinds "status", "html" and "unframed".
        retry_after: Seconds in `Retry-After`; null sends no header.
        retry_after_date: Send `Retry-After` as a date, relative to the `Date` header.
        clock_ahead: Seconds by which the `Date` header is ahead of this machine's clock.
        after_bytes: Bytes of the body that are sent before a "cut" or "trickle", or in all ("unframed", "part").
        clean: A cut looks like a complete body: no Content-Length, a proper last chunk.
        declared_length: `Content-Length` of a cut; null leaves the header unchanged.
        seconds: Delay before the response ("slow") or before every further 256 bytes ("trickle").
        answer_lost: Process the request, then discard its response in favour of kind "status" or "drop".
        seen: Number of matching requests so far; maintained by the sandbox.
    """

    path: str = ""
    method: str = ""
    skip: int = 0
    times: int = 1
    kind: Literal["status", "html", "cut", "slow", "trickle", "drop", "unframed", "part"] = "status"
    status: int = 503
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    retry_after: int | None = None
    retry_after_date: bool = False
    clock_ahead: int = 0
    after_bytes: int = 0
    clean: bool = False
    declared_length: int | None = None
    seconds: float = 0
    answer_lost: bool = False
    seen: int = 0


class Options(Struct, forbid_unknown_fields=True):
    """All options; decodable from JSON, changeable at run time.

    Attributes:
        population: Synthetic dataset and time.
        personalization: Salesforce Marketing Cloud Personalization.
        apsis: APSIS One.
        braze: Braze.
        faults: Fault plan; the first entry that matches a request is applied.
    """

    population: PopulationOptions = field(default_factory=PopulationOptions)
    personalization: PersonalizationOptions = field(default_factory=PersonalizationOptions)
    apsis: ApsisOptions = field(default_factory=ApsisOptions)
    braze: BrazeOptions = field(default_factory=BrazeOptions)
    faults: list[Fault] = field(default_factory=list)

    def update(self, changes: dict[str, Any]) -> None:
        """Merge a partial JSON object into these options in place; invalid changes raise and change nothing."""
        merged = msgspec.convert(_merge(msgspec.to_builtins(self), changes), Options)
        for vendor in ("population", "personalization", "apsis", "braze"):
            current, new = getattr(self, vendor), getattr(merged, vendor)
            for name in current.__struct_fields__:
                setattr(current, name, getattr(new, name))
        if "faults" in changes:
            self.faults = merged.faults


def _merge(old: Any, new: Any) -> Any:  # noqa: ANN401 - any JSON value merges with any other
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {**old, **{key: _merge(old.get(key), value) for key, value in new.items()}}
