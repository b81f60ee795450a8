"""Every knob of the sandbox, with its default and one line of meaning."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct, field


class PopulationOptions(Struct, forbid_unknown_fields=True):
    """Who lives in the sandbox and what time it is.

    Attributes:
        seed: The same seed gives the same people and the same stories.
        users: People who sign up in the shop's first two years; the pace stays the same afterwards.
        companies: Companies that open an account in the first two years; the pace stays the same afterwards.
        opened: When the shop opened (RFC 3339).
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
        api_key_id: The API token's id, the Basic user name.
        api_key_secret: The API token's secret, the Basic password.
        can_access_api: The token's switch "Can access API"; off answers 403.
        token_datasets: Datasets the token is limited to; null is all, others answer 403.
        ip_accepted: Off: this machine is not on the token's IP accept list, 403.
        page_cap: Most records one page may hold, whatever `pageSize` says; 0 is no cap.
        short_pages: Every second page is half full, though it is not the last.
        ignores_page: The server answers page 0 to every page.
        moving_times: Each answer says a later last activity of everyone.
        shift_per_page: Users inserted (positive) or deleted (negative) ahead of the reader between two pages.
        repeat_every: After this many users one of them comes again, newer; 0 is never.
        unknown_segment: What an unknown `filter` or segment gives: "404" or an "empty" list.
        accounts_status: What `accounts.*` answers: 200, or 403 or 404 on tenants after the retirement.
        exponents: Write some small numbers as Java does, `2.0E-4`.
        unknown_fields: Send fields that no page documents.
        attribute_list: One user in fifty has `attributes` as a list of name, value and updated.
        content_length: Declare the length of pages up to 5,000 records; off: chunked.
        raw_record: This text stands, unchecked, as the first record of the JSON's first page; "" is none.
        csv_bom: Begin the CSV with a byte-order mark.
        csv_crlf: End the CSV's lines with CR LF.
        csv_end: What a CSV page past the end holds: only the "header", or nothing ("empty").
        csv_columns_vary: Each CSV page has only the attribute columns that its users have.
        csv_shuffled: The CSV's columns come in another order.
        csv_key: The header of the key column.
        csv_quoted_newlines: Some CSV cells hold newlines, quotes and commas.
        csv_blank_last_line: The CSV ends with a blank line.
        csv_duplicate_header: Two CSV columns have the same header.
        csv_list_separator: Joins the segments in one CSV cell.
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
    content_length: bool = True
    raw_record: str = ""
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


class ApsisOptions(Struct, forbid_unknown_fields=True):
    """APSIS One, the profile in segment event export.

    Attributes:
        client_id: The API key's client id.
        client_secret: The API key's client secret.
        token_seconds: How long a token lives, by the machine's clock.
        expires_in: What the token answer's deprecated `expires_in` says; null is the truth.
        tokens_per_minute: Token requests allowed a minute; 0 is no limit.
        exports_per_minute: Export requests allowed a minute; 0 is no limit.
        downloads_per_minute: Polls and downloads allowed a minute; 0 is no limit.
        pending_limit: Exports that may be unfinished at a time; 0 is no limit.
        retry_after: Seconds in `Retry-After` of a 429; null sends none, as none is documented.
        request_status: Status of an accepted export request.
        url_field: Field that holds the poll URL; "" sends a Location header instead.
        relative_url: The poll URL is relative to the host.
        poll_mode: "v1" answers 404 until the file is ready, "v2" 202.
        polls_before_ready: Polls answered with "not ready" first.
        ready_after_seconds: Seconds that have to pass before the file is ready, too.
        url_hours: How long the poll URL lives, by the sandbox's clock; then 410.
        failing_exports: This many of the next exports fail: 503 once polled ready.
        error_bodies: This many of the next exports answer 200 with an error instead of profiles.
        refuse_days_over: An export whose window is longer than this is too large; 0 is no limit.
        refuse_by: How that shows: the export "fails" (503), answers 200 with an "error", or 413 or 400 refuse it.
        expire_token_after_polls: The token dies once this many polls were answered; 0 is never.
        expired_status: What an expired or revoked token answers.
        section_id_field: Field of Get sections that holds the ID used in the file.
        reversed_keys: The file's object keys come in the opposite order.
        pretty: The file is indented, with newlines.
        metadata: Send a top-level `metadata` "before" or "after" the profiles, or "none".
        topics: Send each section's topic states under a key nobody asked for.
        raw_profile: This text stands, unchecked, as the file's first profile, its key included; "" is none.
        late_seconds: An event becomes visible up to this long after its `createdAt`.
        least_late_seconds: And at least this long after it.
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
    relative_url: bool = False
    poll_mode: Literal["v1", "v2"] = "v1"
    polls_before_ready: int = 2
    ready_after_seconds: float = 0
    url_hours: float = 24
    failing_exports: int = 0
    error_bodies: int = 0
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
    late_seconds: int = 900
    least_late_seconds: int = 0


class BrazeOptions(Struct, forbid_unknown_fields=True):
    """Braze, the export of user profiles by segment.

    Attributes:
        api_key: The REST API key, sent as Bearer.
        permissions: What the key may do; without `users.export.segment` the answer is 403 "Access Denied".
        plan_includes_export: Off: the company's plan lacks the endpoint, 403 "Forbidden".
        requests_per_hour: The workspace's hourly limit; over it 429.
        other_exports: Exports the company runs elsewhere; 100 may run in all.
        polls_before_ready: Polls of the url (or refused requests for its segment) until the file is ready.
        ready_after_seconds: The file is ready after this time, whatever was polled; null counts polls.
        outcome: "ready"; "never": runs until cancelled; "fails": the url never works, the segment is free.
        not_ready_status: What the url answers before it is ready: 403 AccessDenied, or 404 NoSuchKey.
        url_hours: How long the url lives once ready, by the sandbox's clock; then 403 ExpiredToken.
        expired_code: The S3 code of an expired url.
        url: Whether the answer holds the url: "given", "null" or "missing" (own bucket connected).
        url_query: What follows the path of the url, such as "?X-Amz-Signature=x" where it is presigned.
        unknown_field_names: A misspelt name in `fields_to_export` is "ignore"d, or a 400 ("refuse").
        extra_field: Send a top-level field that nobody asked for.
        mixed_types: Let `sessions` and some custom attributes change their type between users.
        repeat_every: After this many users one of them comes again; 0 is never.
        lines_per_file: Most users in one member of the archive.
        file_suffix: Ending of the members' names.
        archive: "asked": zip or gzip as requested; or always "zip" or "gzip".
        blank_lines: Put blank lines between the users.
        blank_members: This many members of 64 MiB of newlines end each zip.
        broken_lines: This many lines of each export are not JSON.
        raw_line: This text stands, unchecked, as the first line of each archive; "" is none.
        empty_segment: What an empty segment gives: "empty_zip", "empty_member" or "never_ready".
        bucket_folder: The company's own bucket: exports are written below this local folder.
        bucket_part_seconds: Pause before each archive in the bucket.
        bucket_late_seconds: Further pause before the last archive, if there are several.
        bucket_day_shift: Days between the request and the folder's date.
    """

    api_key: str = "sandbox-api-key"
    permissions: list[str] = field(default_factory=lambda: ["users.export.segment", "segments.list"])
    plan_includes_export: bool = True
    requests_per_hour: int = 250_000
    other_exports: int = 0
    polls_before_ready: int = 2
    ready_after_seconds: float | None = None
    outcome: Literal["ready", "never", "fails"] = "ready"
    not_ready_status: Literal[403, 404] = 403
    url_hours: float = 4
    expired_code: Literal["ExpiredToken", "AccessDenied"] = "ExpiredToken"
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
    empty_segment: Literal["empty_zip", "empty_member", "never_ready"] = "empty_zip"
    bucket_folder: str | None = None
    bucket_part_seconds: float = 0.02
    bucket_late_seconds: float = 0
    bucket_day_shift: int = 0


class Fault(Struct, forbid_unknown_fields=True):
    """One line of the fault plan: what goes wrong with which requests.

    Attributes:
        path: Regular expression searched in the request's path.
        method: Only this method; "" is any.
        skip: Leave the first so many matching requests alone.
        times: Then spoil this many; 0 is all that follow.
        kind: "status", "html" (a login page with 200), "cut", "slow" (late first byte), "trickle", "drop",
            "unframed" (a body that only the connection's end ends), "part" (206, with the beginning of the body).
        status: The status of kind "status".
        body: The body of kind "status"; "" is one in the vendor's style.
        headers: Further headers of kinds "status", "html" and "unframed".
        retry_after: Seconds in a `Retry-After` header; null sends none.
        retry_after_date: Write `Retry-After` as a date, by the clock that `Date` shows.
        clock_ahead: Seconds that the clock behind `Date` is ahead of this machine's.
        after_bytes: Kinds "cut" and "trickle" begin after this much of the body; "unframed" and "part" send no more.
        clean: A cut ends like a whole body: no declared length, a proper last chunk.
        declared_length: A cut declares this `Content-Length`; null leaves the header as it is.
        seconds: Delay of "slow" before the answer, of "trickle" before every further 256 bytes.
        answer_lost: The request is carried out first, then answered as kind "status" or "drop" says.
        seen: Matching requests so far; counts itself.
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
    """All knobs; decodable from JSON, changeable while the sandbox runs.

    Attributes:
        population: Who lives in the sandbox and what time it is.
        personalization: Salesforce Marketing Cloud Personalization.
        apsis: APSIS One.
        braze: Braze.
        faults: The fault plan, the first matching line of which spoils a request.
    """

    population: PopulationOptions = field(default_factory=PopulationOptions)
    personalization: PersonalizationOptions = field(default_factory=PersonalizationOptions)
    apsis: ApsisOptions = field(default_factory=ApsisOptions)
    braze: BrazeOptions = field(default_factory=BrazeOptions)
    faults: list[Fault] = field(default_factory=list)

    def update(self, changes: dict[str, Any]) -> None:
        """Merge a partial JSON object into these options, in place; all of it or, if it is wrong, nothing."""
        merged = msgspec.convert(_merge(msgspec.to_builtins(self), changes), Options)
        for vendor in ("population", "personalization", "apsis", "braze"):
            mine, new = getattr(self, vendor), getattr(merged, vendor)
            for name in mine.__struct_fields__:
                setattr(mine, name, getattr(new, name))
        if "faults" in changes:
            self.faults = merged.faults


def _merge(old: Any, new: Any) -> Any:  # noqa: ANN401 - any JSON value merges with any other
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {**old, **{key: _merge(old.get(key), value) for key, value in new.items()}}
