"""Optional columns of `braze_users`: one for each exported custom attribute, named after it and typed as defined.

They are made from the definitions as they are at the start of a run, and a run keeps to those that its catalog knows.
Where the names of several attributes become the same column, each gets a suffix: definitions have neither ID nor age,
so none of them could keep the plain name for sure.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

from msgspec import Raw
from singer_sdk import typing as th

from tap_cdp_export.files import strict_json
from tap_cdp_export.files.json_splitter import DECODE_ERRORS
from tap_cdp_export.records.batch import NEEDS_JSON_ESCAPE, RecordBatch, batch_of, encode
from tap_cdp_export.records.json_decoder import JsonRecordDecoder
from tap_cdp_export.records.mapper import RecordMapper, any_time
from tap_cdp_export.records.properties import FREE_OBJECT, OBJECTS, TEXTS
from tap_cdp_export.records.typed_columns import column_name, type_word, with_suffix

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PREFIX: Final = "attribute_"
_SOURCE: Final = "custom_attributes"
_TYPES: Final[dict[str, Any]] = {
    **dict.fromkeys(("number", "float", "double", "decimal"), th.NumberType),
    **dict.fromkeys(("integer", "int"), th.IntegerType),
    **dict.fromkeys(("boolean", "bool"), th.BooleanType),
    **dict.fromkeys(("date", "time", "datetime", "timestamp"), th.DateTimeType),
    **dict.fromkeys(("array", "list", "stringarray", "arrayofstrings"), TEXTS),
    **dict.fromkeys(("objectarray", "arrayofobjects"), OBJECTS),
    **dict.fromkeys(("object", "nestedobject", "nestedcustomattribute"), FREE_OBJECT),
}
"""By `data_type`, whose values are documented in part only; all others give text."""

_NOTHING: Final = Raw(b"{}")
_NULL: Final = Raw(b"null")


class AttributeColumns:
    """The columns, and what fills them.

    Attributes:
        properties: their JSON schemas by name.
    """

    def __init__(self, definitions: Iterable[Mapping[str, Any]] = (), wanted: Iterable[str] | None = None) -> None:
        """Name and type the columns.

        Args:
            definitions: the vendor's, each with its `name`.
            wanted: names of the attributes that are exported; None for all.
        """
        types = {one["name"]: one.get("data_type") for one in definitions}
        plain = {name: column_name(PREFIX, name) for name in types}
        shared = Counter(plain.values())
        columns = {
            name: column if column != PREFIX and shared[column] == 1 else with_suffix(column, name)
            for name, column in plain.items()
        }
        chosen = types.keys() if wanted is None else types.keys() & {*wanted}
        self._attributes = {columns[name]: name for name in types if name in chosen}
        self.properties: dict[str, Any] = th.PropertiesList(
            *(
                th.Property(column, _type(types[name]), description=f"Custom attribute {name}.")
                for column, name in self._attributes.items()
            )
        ).to_dict()["properties"]
        self.follow(self.properties)

    @property
    def names(self) -> frozenset[str]:
        """The columns that a catalog keeps."""
        return frozenset(self._kept)

    def follow(self, properties: Mapping[str, Any]) -> None:
        """Keep to the columns and types of a catalog, which may be that of an earlier discovery.

        Args:
            properties: JSON schemas of the stream's columns by name.
        """
        self._kept = {name: inner for name, inner in properties.items() if name.startswith(PREFIX)}
        defined = {name: inner for name, inner in self._kept.items() if name in self._attributes}
        self._mapper = RecordMapper(
            {"properties": defined},
            tap_columns=frozenset(),
            to_vendor_name=self._attributes.__getitem__,
            time=any_time,
            keeps_unknown=False,
        )
        needs_escape = any(NEEDS_JSON_ESCAPE.search(self._attributes[name]) for name in defined)
        self._decoder = (
            None if needs_escape else JsonRecordDecoder(self._mapper, {}, {*defined, "extra"}, required=None)
        )

    def added_to(self, batch: RecordBatch) -> RecordBatch:
        """Add the columns to users.

        A custom attribute may also stand among the user's own fields, where it has no column and so is in `extra`.

        Args:
            batch: with the columns `custom_attributes` and `extra`.

        Returns:
            The same users. A value of another type than its column's is in `extra`, under `custom_attributes`.
        """
        if not self._kept:
            return batch
        objects, extras = list(batch.columns[_SOURCE]), list(batch.columns["extra"])
        typed = self._typed([self._all_of(inside, extra) for inside, extra in zip(objects, extras, strict=True)])
        misfits = 0
        for place, found in enumerate(typed.columns["extra"]):
            if found:
                misfits += len(found)
                extras[place] = {**_plain(extras[place]), _SOURCE: found}
        columns = {name: typed.columns.get(name, repeat(None, batch.number)) for name in self._kept}
        columns = {**batch.columns, _SOURCE: objects, "extra": extras, **columns}
        return batch._replace(columns=columns, misfits=misfits)

    def _all_of(self, inside: object, extra: object) -> Raw:
        """Give the attributes of a user, encoded."""
        if extra is None:
            if type(inside) is Raw:
                return _NOTHING if inside == _NULL else inside
            return _NOTHING if inside is None else Raw(encode(inside))
        outside = _plain(extra)
        named = {name: outside[name] for name in self._attributes.values() if name in outside}
        return Raw(encode({**named, **_plain(inside)}))

    def _typed(self, objects: Sequence[Raw]) -> RecordBatch:
        if self._decoder:
            with suppress(*DECODE_ERRORS):
                return self._decoder.array(b"[%b]" % b",".join(objects))
        return batch_of([self._mapper.record(strict_json.decode(bytes(one)), {}) for one in objects])


def _plain(value: object) -> dict[str, Any]:
    """Decode an object that may be encoded already, or null."""
    fields: dict[str, Any] | None = value if isinstance(value, dict) else strict_json.decode(encode(value))
    return fields or {}


def _type(data_type: object) -> Any:  # noqa: ANN401 -- the SDK's types
    return _TYPES.get(type_word(data_type), th.StringType) if isinstance(data_type, str) else th.StringType
