"""Decode lines of users into batches of `braze_users` and of the tables made from their lists."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from tap_cdp_export.files import strict_json
from tap_cdp_export.files.json_splitter import DECODE_ERRORS
from tap_cdp_export.records.batch import RecordBatch
from tap_cdp_export.records.json_decoder import JsonRecordDecoder
from tap_cdp_export.records.mapper import RecordMapper, any_time
from tap_cdp_export.vendors.braze.archive import users_of
from tap_cdp_export.vendors.braze.entry_decoder import EntryDecoder
from tap_cdp_export.vendors.braze.entry_lists import ListReader, Lists
from tap_cdp_export.vendors.braze.schemas import TAP_COLUMNS, USERS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from tap_cdp_export.vendors.braze.attribute_columns import AttributeColumns


class UserDecoder:
    """Decodes users for `braze_users`."""

    def __init__(
        self, segment: str, selected: Collection[str], attribute_columns: AttributeColumns | None = None
    ) -> None:
        """Initialize.

        Args:
            segment: ID of the segment for which the users were exported.
            selected: names of the columns to decode.
            attribute_columns: the columns of single custom attributes, if there are any.
        """
        self._attribute_columns = attribute_columns
        if attribute_columns:
            selected = {*selected, "custom_attributes", "extra"}
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
        batch = self._decoded(block)
        return self._attribute_columns.added_to(batch) if self._attribute_columns else batch

    def _decoded(self, block: bytes) -> RecordBatch:
        with suppress(*DECODE_ERRORS):
            if not strict_json.has_nul(block):
                return self._decoder.json_lines(block)
        return self._decoder.objects(users_of(block))


class BlockDecoder:
    """Decodes lines for all selected streams of a segment."""

    def __init__(self, decoders: Sequence[UserDecoder | EntryDecoder]) -> None:
        """Initialize.

        Args:
            decoders: one for each stream.
        """
        self._decoders = decoders
        fields = {decoder.field for decoder in decoders if isinstance(decoder, EntryDecoder)}
        self._reader = ListReader("braze_id", fields, required=True) if fields else None

    def decode(self, block: bytes) -> Iterator[tuple[RecordBatch, ...]]:
        """Decode lines.

        Args:
            block: whole lines.

        Yields:
            In parts, a batch for each of the streams.

        Raises:
            InvalidJSON: If a line is no JSON object with a `braze_id`.
        """
        lists = _lists_of(block, self._reader) if self._reader else Lists((), {})
        for place, decoder in enumerate(self._decoders):
            batches = decoder.batches_of(lists) if isinstance(decoder, EntryDecoder) else [decoder.decode(block)]
            for batch in batches:
                yield self._alone(place, batch)

    def _alone(self, place: int, batch: RecordBatch) -> tuple[RecordBatch, ...]:
        batches = [RecordBatch({}, 0)] * len(self._decoders)
        batches[place] = batch
        return tuple(batches)


def _lists_of(block: bytes, reader: ListReader) -> Lists:
    with suppress(*DECODE_ERRORS):
        if not strict_json.has_nul(block):
            return reader.encoded(block.removesuffix(b"\n").split(b"\n"))
    return reader.decoded(users_of(block, whole_lists=True))
