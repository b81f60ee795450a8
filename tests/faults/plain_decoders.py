"""Decode exports in the plainest way, to compare the records of the package's decoders with.

Whole documents, objects one by one, nothing in columns, nothing left encoded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.errors import UnusableAnswer
from tap_cdp_export.files import strict_json
from tap_cdp_export.files.compression import lines, open_decompressed
from tap_cdp_export.files.json_chunks import read_verified_chunks
from tap_cdp_export.files.json_splitter import MEMBER_BYTES
from tap_cdp_export.records.mapper import RecordMapper, any_time, camel_case
from tap_cdp_export.vendors.apsis.export_file import (
    PROFILES,
    KnownIds,
    event_records,
    profile_records,
    profiles_of,
    verify_file,
)
from tap_cdp_export.vendors.braze import archive
from tap_cdp_export.vendors.braze.schemas import TAP_COLUMNS as BRAZE_TAP_COLUMNS
from tap_cdp_export.vendors.braze.schemas import USERS as BRAZE_USERS
from tap_cdp_export.vendors.personalization.schemas import TAP_COLUMNS, USERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_cdp_export.files.spool import Spool
    from tap_cdp_export.vendors.personalization.csv_pages import CsvPages

    Record = dict[str, Any]

USER_MAPPER: Final = RecordMapper(USERS, tap_columns=TAP_COLUMNS, to_vendor_name=camel_case)
BRAZE_MAPPER: Final = RecordMapper(BRAZE_USERS, tap_columns=BRAZE_TAP_COLUMNS, time=any_time)


def users_of_json(page: Spool, tap_columns: Mapping[str, str]) -> list[Record]:
    """Decode a page in JSON."""
    text = b"".join(open_decompressed(page))
    if text.removeprefix(strict_json.BOM).strip(b" \t\n\r") == b"null":
        return []
    try:
        users = strict_json.decode(text)
        strict_json.check_nesting(text)  # also of what a repeated key hides
    except strict_json.InvalidJSON:
        raise UnusableAnswer("The page is no JSON.") from None
    if not isinstance(users, list) or not all(isinstance(user, dict) for user in users):
        raise UnusableAnswer("The page is no array of objects.")
    return [USER_MAPPER.record(_named(user), tap_columns) for user in users]


def users_of_csv(page: Spool, pages: CsvPages, tap_columns: Mapping[str, str]) -> list[Record]:
    """Decode a page in CSV, row by row."""
    users = [pages.object(header, row) for header, rows in pages.tables(page) for row in rows]
    return [USER_MAPPER.record(_named(user), tap_columns) for user in users]


def profiles_and_events_of(
    file: Spool, tap_columns: Mapping[str, str], known: KnownIds
) -> tuple[list[Record], list[Record]]:
    """Decode an export file of APSIS One, profile by profile."""
    verify_file(file)
    pairs = [pair for chunk in read_verified_chunks(file, PROFILES) for pair in profiles_of(chunk)]
    profiles = [row for key, profile in pairs for row in profile_records(key, profile, tap_columns, known)]
    return profiles, [row for key, profile in pairs for row in event_records(key, profile, tap_columns)]


def users_of_archive(file: Spool, tap_columns: Mapping[str, str]) -> Iterator[Record]:
    """Decode an archive of Braze, line by line."""
    with archive.unpacked(file) as unpacked:
        archive.verify(unpacked)
        blocks = list(archive.line_blocks_of(unpacked))
    for block in blocks:
        for _, line in lines([block], limit=MEMBER_BYTES):
            try:
                users = archive.users_of(line)
            except strict_json.InvalidJSON:
                raise UnusableAnswer("A line is no user.") from None
            yield from (BRAZE_MAPPER.record(user, tap_columns) for user in users)


def _named(user: Record) -> Record:
    """Find the identifier under one of its names; a whole number becomes text."""
    for alias in ("name", "userId", "id"):
        if user.get(alias) is not None:
            name = str(user[alias]) if type(user[alias]) is int else user[alias]
            if not isinstance(name, str) or not name:
                break
            return {"name": name, **{field: value for field, value in user.items() if field not in {"name", alias}}}
    raise UnusableAnswer("A record has no text as its name.")
