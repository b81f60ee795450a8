"""Batches of records: decoders give columns, and a batch is encoded as JSON lines at once.

That is several times faster than encoding one dictionary for each record (docs/performance.md, section 3).
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from tap_cdp_export.files import strict_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

NEEDS_JSON_ESCAPE: Final = re.compile(r'["\\\x00-\x1f]')
"""No field of a struct may be renamed to a name that has one of these in it."""


def _encode_unknown(value: object) -> str:
    """Give text for what JSON does not know: a stream map can make any Python value."""
    return value.isoformat() if isinstance(value, dt.date) else str(value)


_encoder: Final = msgspec.json.Encoder(enc_hook=_encode_unknown, decimal_format="number")
encode: Final = _encoder.encode
"""Encodes one value as strict JSON."""
encode_into: Final = _encoder.encode_into
"""Encodes one value behind the given length of a bytearray."""


_PLAIN_TYPES: Final = {str, int, float, bool, type(None)}


class RecordBatch(NamedTuple):
    """Records of one stream, column by column.

    Attributes:
        columns: values by column name, all equally long, in the order of the record's columns. A value is plain
            Python, or JSON that is encoded already (`msgspec.Raw`, or a struct with such fields).
        number: number of records.
        keys: hashes of the vendor's keys of the records, for decoders whose caller compares them.
        misfits: number of values that are in `extra` because they are of another type than they are defined to be.
    """

    columns: Mapping[str, Iterable[Any]]
    number: int
    keys: frozenset[int] = frozenset()
    misfits: int = 0


class EncodedRecords(NamedTuple):
    """Encoded records of one stream.

    Attributes:
        number: number of records in `data`.
        data: JSON lines, each with its newline. Valid until the next batch is requested: it may be shared memory.
        left_out: number of further records that a stream map has filtered out.
        keys: as in `RecordBatch`.
        misfits: as in `RecordBatch`.
    """

    number: int
    data: bytes | memoryview
    left_out: int = 0
    keys: frozenset[int] = frozenset()
    misfits: int = 0


def batch_of(records: Sequence[Mapping[str, Any]]) -> RecordBatch:
    """Make a batch of single records.

    Args:
        records: any number, all with the same columns.

    Returns:
        The batch.
    """
    names = records[0] if records else ()
    return RecordBatch({name: [record[name] for record in records] for name in names}, len(records))


def whole_records(batch: RecordBatch) -> list[dict[str, Any]]:
    """Make single records of a batch, with nothing in them that is still encoded.

    Args:
        batch: any batch; an iterator among its columns is used up.

    Returns:
        The records: `({"a": [1, 2], "b": [Raw(b"[]"), None]}, 2)` gives `[{"a": 1, "b": []}, {"a": 2, "b": None}]`.
    """
    if not batch.columns:
        return [{} for _ in range(batch.number)]
    rows = zip(*map(plain_values, batch.columns.values()), strict=True)
    return [dict(zip(batch.columns, row, strict=True)) for row in rows]


def plain_values(values: Iterable[Any]) -> list[Any]:
    """Make a column one with nothing in it that is still encoded."""
    column = list(values)
    if set(map(type, column)) <= _PLAIN_TYPES:
        return column
    decoded: list[Any] = strict_json.decode(encode(column))  # a dict may hold encoded values, at any depth
    return decoded


def encode_columns(columns: Mapping[str, Iterable[Any]], before: bytes = b"", after: bytes = b"") -> EncodedRecords:
    """Encode many records at once.

    Args:
        columns: at least one, by name, all equally long.
        before: what stands before a record in its line.
        after: what stands behind it.

    Returns:
        Their lines.
    """
    return encode_records(list(map(struct(tuple(columns)), *columns.values())), before, after)


def encode_records(records: Sequence[object], before: bytes = b"", after: bytes = b"") -> EncodedRecords:
    """Encode single records.

    Args:
        records: dictionaries or structs.
        before: what stands before a record in its line.
        after: what stands behind it.

    Returns:
        Their lines.
    """
    if len(records) == 1:  # it may be long, so it is not copied
        line = bytearray(before)
        _encoder.encode_into(records[0], line, -1)
        line += after + b"\n"
        return EncodedRecords(1, memoryview(line))
    lines = _encoder.encode_lines(records)
    if lines and (before or after):
        inner = memoryview(lines.replace(b"\n", after + b"\n" + before, len(records) - 1))[:-1]
        lines = b"".join((before, inner, after, b"\n"))
    return EncodedRecords(len(records), lines)


@lru_cache(maxsize=64)
def struct(names: tuple[str, ...]) -> Callable[..., Any]:
    """Compile what is encoded as an object faster than a dict is.

    Args:
        names: the object's keys, none of them `NEEDS_JSON_ESCAPE`.

    Returns:
        Makes one of its values.
    """
    fields = [f"field_{number}" for number in range(len(names))]
    rename = dict(zip(fields, names, strict=True))
    return msgspec.defstruct("Struct", [(field, Any) for field in fields], rename=rename, gc=False)
