"""The fast way out of a stream: a run of JSON becomes encoded records without a dict in between.

A run is decoded into typed structs that are the stream's columns, and encoded from structs that are the
catalog's selection (research: performance, sections 3 and 10). Free-form columns are never built: they stay the
vendor's bytes, and one decoder looks at a whole column of them at once. An object with anything odd in it goes
through `RecordShape` instead, so that both ways give the same.
"""

from __future__ import annotations

import re
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from tap_cdp_export import json_text
from tap_cdp_export.messages import Lines
from tap_cdp_export.records import MISFIT, RecordShape, epoch_column, epoch_time, kind_of, spelled_column, spelled_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tap_cdp_export.records import Fit

    Decode = Callable[[bytes], list[Any]]

_MOST_UNKNOWN: Final = 100
_UNSPEAKABLE: Final = re.compile(r'["\\\x00-\x1f]')
"""No field of a struct may be renamed to a name that has one of these in it."""

_INTEGER: Final = Annotated[int, Meta(ge=1 - 2**63, le=2**63 - 1)]
_NOT_EMPTY: Final = Annotated[str, Meta(min_length=1)]
_TYPES: Final[dict[str, Any]] = {
    "string": str | None,
    "integer": _INTEGER | None,
    "number": int | float | None,
    "boolean": bool | None,
}
_TIMES: Final[dict[Fit, tuple[Any, Callable[[Iterable[Any]], list[Any]]]]] = {
    epoch_time: (_INTEGER, epoch_column),
    spelled_time: (str, spelled_column),
}
_NULL: Final = Raw(b"null")
_OBJECT_OR_NULL: Final = b"{n"
_raw: Final = msgspec.json.Decoder(Raw)
_raw_array: Final = msgspec.json.Decoder(list[Raw])
_encoder: Final = msgspec.json.Encoder(decimal_format="number")


class _AnyObject(msgspec.Struct, gc=False):
    """Any JSON object, looked at and not kept."""


_ITEMS: Final[dict[str, Any]] = {"string": str, "number": int | float, "object": _AnyObject}


class TypedRuns:
    """Encodes the records of one stream, for one set of the tap's own values."""

    def __init__(
        self,
        shape: RecordShape,
        own: Mapping[str, str],
        *,
        required: str,
        selected: Callable[[str], bool],
        may_be_empty: bool = True,
    ) -> None:
        """Compile the structs.

        Args:
            shape: makes the same records one by one.
            own: values of the tap's own columns.
            required: the text column that no record may lack; part of the key, so always selected.
            selected: whether the catalog selects a column.
            may_be_empty: whether the required column's text may be empty.
        """
        self._shape = shape
        self._own = own
        self._required = required
        self._selected = selected
        self._may_be_empty = may_be_empty
        self._spell = shape.spell
        self._columns = shape.columns
        kinds = {name: kind_of(inner) for name, inner in self._columns.items()}
        self._time_type, self._fit_times = _TIMES[shape.time]
        self._times = [name for name, kind in kinds.items() if kind == "date-time"]
        self._objects = {name for name, kind in kinds.items() if kind == "object"}
        self._arrays = {name: _array(inner) for name, inner in self._columns.items() if kinds[name] == "array"}
        self._sent = [name for name in self._columns if selected(name)]
        self._has_extra = selected("extra")
        self._own_values = tuple(value for name, value in own.items() if selected(name))
        names = [*filter(selected, own), *self._sent, *(["extra"] if self._has_extra else [])]
        self._out = msgspec.defstruct("Out", [(name, Any) for name in names], gc=False)
        self._unknown: list[str] = []
        self._compile()

    def _compile(self) -> None:
        unknown = [(f"unknown_{number}", field) for number, field in enumerate(self._unknown)]
        extra = [(name, Raw | UnsetType, UNSET) for name, _ in unknown]
        optional = [(name, *self._type(name)) for name in self._columns if name != self._required]
        known = msgspec.defstruct(
            "Known",
            [(self._required, _NOT_EMPTY), *optional, *extra],
            rename={**{name: self._spell(name) for name in self._columns}, **dict(unknown)},
            forbid_unknown_fields=True,
            gc=False,
        )
        self._one = msgspec.json.Decoder(known)
        self._array = msgspec.json.Decoder(list[known])  # type: ignore[valid-type]
        self._extra = msgspec.defstruct("Extra", extra, rename=dict(unknown), gc=False) if extra else None
        self._free = {
            name: attrgetter(name) for name in (*self._objects, *self._arrays, *(name for name, _ in unknown))
        }
        self._of_sent = _tuple_getter(self._sent)
        self._of_unknown = _tuple_getter([name for name, _ in unknown])

    def _type(self, name: str) -> tuple[Any, Any]:
        """Give the type that a column is decoded as, and its value where the vendor left it out."""
        if name in self._objects or name in self._arrays:
            return Raw, _NULL
        if name in self._times:
            return self._time_type | None, None
        return _TYPES[kind_of(self._columns[name])], None

    def array(self, run: bytes) -> Lines:
        """Encode a run of an array.

        Args:
            run: a JSON array of whole objects.

        Returns:
            The records.

        Raises:
            msgspec.DecodeError: If the run is no array of objects.
            json_text.InvalidJSON: If an object lacks the required column.
        """
        objects = self._read(run, lambda: self._array.decode, _raw_array.decode)
        if b"\n" in run or b"\r" in run:  # free-form values would carry them into the lines
            run = run.translate(None, b"\r\n")
            objects = self._read(run, lambda: self._array.decode, _raw_array.decode)
        return self.lines(objects)

    def json_lines(self, run: bytes) -> Lines:
        """Encode a run of JSON lines.

        Args:
            run: whole lines.

        Returns:
            The records.

        Raises:
            msgspec.DecodeError: If a line is blank, or no JSON object.
            json_text.InvalidJSON: If an object lacks the required column.
        """
        objects = self._read(run, lambda: self._one.decode_lines, _raw.decode_lines)
        if len(objects) != run.count(b"\n") + (not run.endswith(b"\n")):  # a value that goes over two lines
            raise msgspec.DecodeError
        if b"\r" in run:
            objects = self._read(run.translate(None, b"\r"), lambda: self._one.decode_lines, _raw.decode_lines)
        return self.lines(objects)

    def _read(self, run: bytes, decode: Callable[[], Decode], cut: Decode) -> list[Any]:
        """Decode a run into structs; an object with an odd field stays a dict."""
        try:
            return decode()(run)
        except msgspec.ValidationError:
            objects = [self._struct_or_dict(raw) for raw in cut(run)]
        if self._learn(fields for fields in objects if type(fields) is dict):
            return self._read(run, decode, cut)
        return objects

    def _struct_or_dict(self, raw: Raw) -> Any:  # noqa: ANN401 -- the structs are compiled
        try:
            return self._one.decode(raw)
        except msgspec.ValidationError:
            fields = json_text.decode(bytes(raw))
            if isinstance(fields, dict):
                return fields
            raise

    def _learn(self, objects: Iterable[Mapping[str, Any]]) -> bool:
        """Meet new fields, which are no longer odd from then on."""
        known = {*map(self._spell, self._columns), *self._unknown}
        met = dict.fromkeys(field for fields in objects for field in fields if field not in known)
        new = [field for field in met if not _UNSPEAKABLE.search(field)]
        if not new or len(self._unknown) + len(new) > _MOST_UNKNOWN:
            return False
        self._unknown += new
        self._compile()
        return True

    def lines(self, objects: list[Any]) -> Lines:
        """Encode objects.

        Args:
            objects: the vendor's, as dicts; or structs of this class.

        Returns:
            The records.

        Raises:
            json_text.InvalidJSON: If an object lacks the required column.
        """
        has_dicts = dict in set(map(type, objects))
        known = [fields for fields in objects if type(fields) is not dict] if has_dicts else objects
        misfits = [*self._free_misfits(known), *self._spell_times(known)]
        records = self._built(known)
        for place, name, value in misfits:
            self._move_to_extra(records[place], known[place], name, value)
        if has_dicts:
            others = iter(records)
            records = [self._tolerant(fields) if type(fields) is dict else next(others) for fields in objects]
        return Lines(len(records), _encoder.encode_lines(records))

    def _free_misfits(self, known: list[Any]) -> Iterator[tuple[int, str, Any]]:
        """Find free-form values of another type than their column's, and make sure that all can be passed on."""
        for name, value_of in self._free.items():
            values = enumerate(map(value_of, known))
            found = [(place, raw) for place, raw in values if raw is not _NULL and raw is not UNSET]
            raws = [raw for _, raw in found]
            if not raws:
                continue
            joined = b",".join(raws)
            if not json_text.is_tame(joined):
                raise msgspec.DecodeError
            if name in self._objects:
                yield from ((place, name, raw) for place, raw in found if bytes(raw)[0] not in _OBJECT_OR_NULL)
            elif name in self._arrays and not _fits(self._arrays[name], joined):
                yield from ((place, name, raw) for place, raw in found if not _fits(self._arrays[name], raw))

    def _spell_times(self, known: list[Any]) -> Iterator[tuple[int, str, Any]]:
        """Write times in their columns, and give those that are none."""
        for name in self._times:
            value_of = attrgetter(name)
            timed = [struct for struct in known if value_of(struct) is not None]
            if not timed:
                continue
            values = list(map(value_of, timed))
            texts = self._fit_times(values)
            if MISFIT in texts:
                given = {
                    id(struct): value
                    for struct, value, text in zip(timed, values, texts, strict=True)
                    if text is MISFIT
                }
                yield from ((place, name, given[id(one)]) for place, one in enumerate(known) if id(one) in given)
            for struct, text in zip(timed, texts, strict=True):
                setattr(struct, name, text)

    def _move_to_extra(self, record: Any, struct: Any, name: str, value: Any) -> None:  # noqa: ANN401 -- compiled structs
        if self._selected(name):
            setattr(record, name, None)
        if self._has_extra:
            if not isinstance(record.extra, dict):
                unknown = zip(self._unknown, self._of_unknown(struct), strict=True)
                record.extra = {field: raw for field, raw in unknown if raw is not UNSET}
            record.extra[self._spell(name)] = value

    def _built(self, known: list[Any]) -> list[Any]:
        own, out, of_sent, extra, of_unknown = self._own_values, self._out, self._of_sent, self._extra, self._of_unknown
        if not self._has_extra:
            return [out(*own, *of_sent(struct)) for struct in known]
        if extra is None:
            return [out(*own, *of_sent(struct), None) for struct in known]
        nothing = (UNSET,) * len(self._unknown)
        return [
            out(*own, *of_sent(struct), None if (values := of_unknown(struct)) == nothing else extra(*values))
            for struct in known
        ]

    def _tolerant(self, fields: dict[str, Any]) -> dict[str, Any]:
        required = fields.get(self._spell(self._required))
        if not isinstance(required, str) or not (required or self._may_be_empty):
            raise json_text.InvalidJSON(f"holds a record that has no text as its {self._spell(self._required)}")
        record = self._shape.record(fields, self._own)
        return {name: value for name, value in record.items() if self._selected(name)}


def _array(schema: Mapping[str, Any]) -> msgspec.json.Decoder[Any]:
    """Make what looks at a whole column of arrays."""
    item: Any = _ITEMS[kind_of(schema["items"])]
    return msgspec.json.Decoder(list[list[item] | None])


def _fits(decoder: msgspec.json.Decoder[Any], values: bytes | Raw) -> bool:
    try:
        decoder.decode(b"[%b]" % values)
    except msgspec.ValidationError:
        return False
    return True


def _tuple_getter(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) == 1:
        value_of = attrgetter(names[0])
        return lambda struct: (value_of(struct),)
    return attrgetter(*names) if names else lambda _struct: ()
