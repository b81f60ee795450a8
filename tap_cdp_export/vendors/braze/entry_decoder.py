"""Decode the lists of users into batches of the tables made from them.

A list is read twice: `ListReader` splits it into entries, and the entries of many users are decoded together, as the
records of any other stream are.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import chain, count, repeat
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.files import strict_json
from tap_cdp_export.files.json_splitter import DECODE_ERRORS
from tap_cdp_export.records.batch import RecordBatch
from tap_cdp_export.records.json_decoder import JsonRecordDecoder
from tap_cdp_export.records.mapper import RecordMapper, any_time
from tap_cdp_export.records.properties import NO_IDENTITY
from tap_cdp_export.vendors.braze.entry_lists import ListReader, Lists

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from msgspec import Raw

    from tap_cdp_export.vendors.braze.entry_streams import BrazeUserEntries

_ENTRIES_AT_ONCE: Final = 1_000


class EntryDecoder:
    """Makes a table of the entries of one of the users' lists.

    Attributes:
        field: name of the list.
    """

    def __init__(self, segment: str, stream: type[BrazeUserEntries], selected: Collection[str]) -> None:
        """Initialize.

        Args:
            segment: ID of the segment for which the users were exported.
            stream: the table.
            selected: names of the columns to decode.
        """
        self.field = stream.field
        self._inner = stream.inner
        self._outer = stream.identity if stream.inner else None
        self._identity = stream.inner_identity if stream.inner else stream.identity
        self._segment = segment
        self._own = ("segment_id", "braze_id", *([self._outer] if self._outer else []), self._identity, "occurrence")
        mapper = RecordMapper(
            stream.columns,
            tap_columns=frozenset({*self._own} - {self._identity}),
            time=any_time,
            counts=stream.counts,
        )
        self._decoder = JsonRecordDecoder(mapper, {}, selected, required=None)
        self._reader = ListReader(stream.identity, [stream.inner], required=False) if stream.inner else None

    def batches_of(self, users: Lists) -> Iterator[RecordBatch]:
        """Make records of the entries of users.

        Args:
            users: their lists, by `braze_id`.

        Yields:
            The records, up to 1,000 at a time.
        """
        lists = users.entries[self.field]
        owners = _owners(lists)
        entries = list(chain.from_iterable(lists))
        outer: list[str] = []
        if self._reader:
            outer_objects = self._read(self._reader, entries)
            (lists,) = outer_objects.entries.values()
            places = _owners(lists)
            owners = list(map(owners.__getitem__, places))
            outer = [outer_objects.names[place] or NO_IDENTITY for place in places]
            entries = list(chain.from_iterable(lists))
        seen: dict[tuple[object, ...], int] = {}
        for start in range(0, len(entries), _ENTRIES_AT_ONCE):
            part = slice(start, start + _ENTRIES_AT_ONCE)
            yield self._batch(users.names, owners[part], outer[part], entries[part], seen)

    def _batch(
        self,
        users: Sequence[str | None],
        owners: Sequence[int],
        outer: Sequence[str],
        entries: Sequence[Raw],
        seen: dict[tuple[object, ...], int],
    ) -> RecordBatch:
        """Decode entries, and add the columns that they do not have themselves."""
        columns = dict(self._decoded(entries).columns)
        identities = [name or NO_IDENTITY for name in columns[self._identity]]
        keys = list(zip(owners, *([outer] if self._outer else []), identities, strict=True))
        own: dict[str, Any] = {
            "segment_id": repeat(self._segment, len(entries)),
            "braze_id": list(map(users.__getitem__, owners)),
            **({self._outer: outer} if self._outer else {}),
            self._identity: identities,
            "occurrence": _occurrences(keys, seen),
        }
        return RecordBatch({**own, **{name: columns[name] for name in columns if name not in own}}, len(entries))

    def _decoded(self, entries: Sequence[Raw]) -> RecordBatch:
        with suppress(*DECODE_ERRORS):
            return self._decoder.array(b"[%b]" % b",".join(entries))
        values = [strict_json.check_depth(strict_json.decode(bytes(entry))) for entry in entries]
        field = self._inner or self.field
        return self._decoder.objects([value if isinstance(value, dict) else {field: value} for value in values])

    @staticmethod
    def _read(reader: ListReader, objects: Sequence[Raw]) -> Lists:
        with suppress(*DECODE_ERRORS):
            return reader.encoded(objects)
        return reader.decoded(strict_json.decode(bytes(value), joined=1) for value in objects)


def _owners(lists: Iterable[Sequence[object]]) -> list[int]:
    """Give for each entry the place of the object whose list it is in: `[[a, b], [], [c]]` gives `[0, 0, 2]`."""
    return list(chain.from_iterable(map(repeat, count(), map(len, lists))))


def _occurrences(keys: list[tuple[object, ...]], seen: dict[tuple[object, ...], int]) -> list[int]:
    """Number the entries with the same key from 1, those that were seen before included."""
    firsts = dict.fromkeys(keys, 1)
    if len(firsts) == len(keys) and not seen:
        seen.update(firsts)
        return [1] * len(keys)
    numbers = []
    for key in keys:
        seen[key] = number = seen.get(key, 0) + 1
        numbers.append(number)
    return numbers
