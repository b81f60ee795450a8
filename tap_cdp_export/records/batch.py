"""Batches of records: columns in, encoded JSON lines out.

A batch is a mapping from column names to values, all columns equally long. `encode_columns` turns it into JSON lines at
once, which is several times faster than encoding one dictionary for each record.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

NEEDS_JSON_ESCAPE: Final = re.compile(r'["\\\x00-\x1f]')
"""No field of a struct may be renamed to a name that has one of these in it."""


def _encode_unknown(value: object) -> str:
    """Give text for what JSON does not know: a stream map can make any Python value."""
    return value.isoformat() if isinstance(value, dt.date) else str(value)


_encoder: Final = msgspec.json.Encoder(enc_hook=_encode_unknown, decimal_format="number")
encode: Final = _encoder.encode
"""Encodes one value as strict JSON."""


class EncodedRecords(NamedTuple):
    """Encoded records.

    Attributes:
        number: how many.
        data: JSON lines, each with its newline; to be used before more are asked for, since memory may be shared.
        left_out: how many records besides a stream map has filtered out.
        keys: sum of the hashes of the vendor's keys of all these records, where someone compares pages.
    """

    number: int
    data: bytes | memoryview
    left_out: int = 0
    keys: int = 0


class RecordEncoder(Protocol):
    """Where records go, as what makes them sees it."""

    @property
    def selected_columns(self) -> list[str]:
        """The columns that a record has."""

    def encode_columns(self, columns: Mapping[str, Iterable[Any]]) -> EncodedRecords:
        """Encode records that have these columns, all equally long."""


def encode_columns(columns: Mapping[str, Iterable[Any]], before: bytes = b"", after: bytes = b"") -> EncodedRecords:
    """Encode many records at once.

    Args:
        columns: by name, all equally long.
        before: what stands before a record in its line.
        after: what stands behind it.

    Returns:
        Their lines.
    """
    records = list(map(struct(tuple(columns)), *columns.values()))
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
