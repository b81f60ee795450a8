"""Decode lines of users into batches of `braze_users` and of the tables made from their lists."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.files import strict_json
from tap_cdp_export.files.json_splitter import DECODE_ERRORS
from tap_cdp_export.records.batch import RecordBatch, batch_of
from tap_cdp_export.records.json_decoder import JsonRecordDecoder
from tap_cdp_export.records.mapper import RecordMapper, any_time
from tap_cdp_export.records.properties import NO_IDENTITY
from tap_cdp_export.vendors.braze.archive import users_of
from tap_cdp_export.vendors.braze.schemas import TAP_COLUMNS, USERS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

_ENTRIES_AT_ONCE: Final = 1_000
_KEYS: Final = ("segment_id", "braze_id", "occurrence")


class UserDecoder:
    """Decodes users for `braze_users`."""

    def __init__(self, segment: str, selected: Collection[str]) -> None:
        """Initialize.

        Args:
            segment: ID of the segment for which the users were exported.
            selected: names of the columns to decode.
        """
        mapper = RecordMapper(USERS, tap_columns=TAP_COLUMNS, time=any_time)
        self._decoder = JsonRecordDecoder(mapper, {"segment_id": segment}, selected, required="braze_id")

    def decode(self, block: bytes) -> RecordBatch:
        """Decode lines.

        Args:
            block: whole lines.

        Returns:
            The users.

        Raises:
            InvalidJSON: If a line is no JSON object with a `braze_id`.
        """
        with suppress(*DECODE_ERRORS):
            if not strict_json.has_nul(block):
                return self._decoder.json_lines(block)
        return self.batch_of(users_of(block))

    def batch_of(self, users: list[dict[str, Any]]) -> RecordBatch:
        """Make records of users that are decoded already."""
        return self._decoder.objects(users)


class EntryDecoder:
    """Makes a table of the entries of one of the users' lists."""

    def __init__(self, segment: str, schema: Mapping[str, Any], field: str, identity: str) -> None:
        """Initialize.

        Args:
            segment: ID of the segment for which the users were exported.
            schema: JSON schema of the table.
            field: name of the list.
            identity: name of the field that names an entry.
        """
        self._segment = segment
        self._mapper = RecordMapper(schema, tap_columns=frozenset({*_KEYS, identity}), time=any_time)
        self._field = field
        self._identity = identity

    def batches_of(self, users: list[dict[str, Any]]) -> Iterator[RecordBatch]:
        """Make records of the entries of users.

        Args:
            users: decoded, with whole lists.

        Yields:
            The records, up to 1,000 at a time.
        """
        records = (record for user in users for record in self._records_of(user))
        while part := list(islice(records, _ENTRIES_AT_ONCE)):
            yield batch_of(part)

    def _records_of(self, user: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        occurrences: Counter[str] = Counter()
        for entry in _listed(user.get(self._field)):
            fields = {**entry} if isinstance(entry, dict) else {self._field: entry}
            name = NO_IDENTITY
            if fields.get(self._identity) is None or isinstance(fields[self._identity], str):
                name = fields.pop(self._identity, None) or NO_IDENTITY
            occurrences[name] += 1
            tap_columns = {
                "segment_id": self._segment,
                "braze_id": user["braze_id"],
                self._identity: name,
                "occurrence": occurrences[name],
            }
            yield self._mapper.record(fields, tap_columns)


class BlockDecoder:
    """Decodes lines for all selected streams of a segment."""

    def __init__(self, decoders: Sequence[UserDecoder | EntryDecoder]) -> None:
        """Initialize.

        Args:
            decoders: one for each stream.
        """
        self._decoders = decoders
        self._has_entries = any(isinstance(decoder, EntryDecoder) for decoder in decoders)

    def decode(self, block: bytes) -> Iterator[tuple[RecordBatch, ...]]:
        """Decode lines.

        Args:
            block: whole lines.

        Yields:
            In parts, a batch for each of the streams.

        Raises:
            InvalidJSON: If a line is no JSON object with a `braze_id`.
        """
        users = users_of(block, whole_lists=True) if self._has_entries else []
        for place, decoder in enumerate(self._decoders):
            if isinstance(decoder, EntryDecoder):
                for batch in decoder.batches_of(users):
                    yield self._alone(place, batch)
            else:
                yield self._alone(place, decoder.batch_of(users) if self._has_entries else decoder.decode(block))

    def _alone(self, place: int, batch: RecordBatch) -> tuple[RecordBatch, ...]:
        batches = [RecordBatch({}, 0)] * len(self._decoders)
        batches[place] = batch
        return tuple(batches)


def _listed(value: object) -> list[Any]:
    """Take a list as it is, and anything else in its place for an entry, so that nothing is lost."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
