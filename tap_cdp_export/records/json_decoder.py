"""Decode chunks of JSON into batches of records.

A chunk is decoded into structs whose fields are the stream's columns (docs/performance.md, section 3). The values of
free-form columns are not built: they stay the vendor's bytes, and one decoder checks a whole column of them at once. An
object with a value of an unexpected type goes through `RecordMapper` instead, which gives the same records.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType
from msgspec.structs import astuple

from tap_cdp_export.files import strict_json
from tap_cdp_export.records import free_form
from tap_cdp_export.records.batch import NEEDS_JSON_ESCAPE, RecordBatch
from tap_cdp_export.records.mapper import (
    UNCONVERTIBLE,
    RecordMapper,
    any_time,
    epoch_column,
    epoch_time,
    integer_column,
    iso_column,
    kind_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from tap_cdp_export.records.mapper import Converter

    Columns = dict[str, Iterable[Any]]
    Values = Mapping[str, Sequence[Any]]
    Decode = Callable[[bytes], list[Any]]

_MAX_UNKNOWN_FIELDS: Final = 100
_INTEGER: Final = Annotated[int, Meta(ge=1 - 2**63, le=2**63 - 1)]
_OUTER_LEVELS: Final = 2
"""Nesting around a column's value: the object, and the array that holds it."""

_NONEMPTY_TEXT: Final = Annotated[str, Meta(min_length=1)]
_TYPES: Final[dict[str, Any]] = {
    "string": str | None,
    "integer": _INTEGER | None,
    "number": int | float | None,
    "boolean": bool | None,
}
_TIMES: Final[dict[Converter, tuple[Any, Callable[[Iterable[Any]], list[Any]]]]] = {
    epoch_time: (_INTEGER, epoch_column),
    any_time: (str, iso_column),
}
_raw_array: Final = msgspec.json.Decoder(list[Raw])


class JsonRecordDecoder:
    """Decodes the records of one stream, for one set of values of the tap's own columns."""

    def __init__(
        self,
        mapper: RecordMapper,
        tap_columns: Mapping[str, str | None],
        selected: Collection[str],
        *,
        required: str | None,
        aliases: Sequence[str] = (),
    ) -> None:
        """Compile the decoders.

        Args:
            mapper: makes records of single objects.
            tap_columns: values of the tap's own columns.
            selected: names of the columns to decode.
            required: the text column that is never empty; decoded in any case. None if there is no such column.
            aliases: the vendor's other names of it, for objects that have none; with them a whole number becomes text.
        """
        self._mapper = mapper
        self._tap_columns = tap_columns
        self._required = required
        self._aliases = aliases
        self._selected = selected = frozenset({*selected, *([required] if required else [])})
        self._to_vendor_name = mapper.to_vendor_name
        self._columns = mapper.columns
        kinds = {name: kind_of(inner) for name, inner in self._columns.items()}
        self._time_type, convert_times = _TIMES[mapper.time]
        times = [name for name, kind in kinds.items() if kind == "date-time"]
        self._converters = {**dict.fromkeys(times, convert_times), **dict.fromkeys(mapper.counts, integer_column)}
        self._free_types = {
            name: free_form.decoder_of(inner)
            for name, inner in self._columns.items()
            if kinds[name] in {"array", "object"}
        }
        self._texts = [name for name, kind in kinds.items() if kind == "string" and name != required]
        self._sent = [name for name in self._columns if name in selected]
        self._key = [(required, _NONEMPTY_TEXT)] if required else []
        rename = {name: self._to_vendor_name(name) for name, _ in self._key}
        named = msgspec.defstruct("Named", self._key, rename=rename)
        self._named = msgspec.json.Decoder(list[named])  # type: ignore[valid-type]
        self._unknown: list[str] = []
        self._compile()

    def _compile(self) -> None:
        unknown = {f"unknown_{number}": field for number, field in enumerate(self._unknown)}
        ignored = {f"ignored_{number}": field for number, field in enumerate(sorted(self._mapper.ignored))}
        extra = [(name, Raw | UnsetType, UNSET) for name in unknown]
        optional = [(name, *self._type(name)) for name in self._columns if name != self._required]
        undecoded = [(name, Raw if name in self._texts else kind, default) for name, kind, default in optional]
        others = [(name, Raw | UnsetType, UNSET) for name in ignored]
        known, long = (
            msgspec.defstruct(
                "Known",
                [*self._key, *fields, *extra, *others],
                rename={**{name: self._to_vendor_name(name) for name in self._columns}, **unknown, **ignored},
                forbid_unknown_fields=self._mapper.keeps_unknown,
                gc=False,
            )
            for fields in (optional, undecoded)
        )
        self._one = msgspec.json.Decoder(known)
        self._long_one = msgspec.json.Decoder(long)
        self._array = msgspec.json.Decoder(list[known])  # type: ignore[valid-type]
        self._long_array = msgspec.json.Decoder(list[long])  # type: ignore[valid-type]
        self._extra = msgspec.defstruct("Extra", extra, rename=unknown, gc=False) if extra else None
        self._fields = known.__struct_fields__
        self._free = [*self._free_types, *unknown]
        self._extra_fields = [*unknown]

    def _type(self, name: str) -> tuple[Any, Any]:
        """Return the type that a column is decoded as, and its value where the vendor left the field out."""
        if name in self._free_types:
            return Raw, Raw(b"null")
        if name in self._mapper.counts:
            return _INTEGER | str | None, None
        if name in self._converters:
            return self._time_type | None, None
        return _TYPES[kind_of(self._columns[name])], None

    def array(self, chunk: bytes) -> RecordBatch:
        """Decode a chunk of an array.

        Args:
            chunk: a JSON array of whole objects.

        Returns:
            The records.

        Raises:
            msgspec.DecodeError: If the chunk is no array of objects.
            InvalidJSON: If an object lacks the required column.
        """
        objects = self._read(chunk, lambda: self._decoded_array, _raw_array.decode)
        if b"\n" in chunk or b"\r" in chunk:  # free-form values would carry them into the lines
            chunk = chunk.translate(None, b"\r\n")
            objects = self._read(chunk, lambda: self._decoded_array, _raw_array.decode)
        return self.objects(objects)

    def check(self, chunk: bytes) -> None:
        """Decode just enough of a chunk to know that `array` will accept it.

        Args:
            chunk: a JSON array of whole objects.

        Raises:
            msgspec.DecodeError: If the chunk is no array of objects, or only `objects` can decide about one of them.
        """
        self._named.decode(chunk)

    def json_lines(self, block: bytes) -> RecordBatch:
        """Decode JSON lines.

        Args:
            block: whole lines.

        Returns:
            The records.

        Raises:
            msgspec.DecodeError: If a line is blank, or no single JSON object.
            InvalidJSON: If an object lacks the required column.
        """
        objects = self._read(block, lambda: self._decoded_lines, _split_lines)
        if b"\r" in block:
            objects = self._read(block.translate(None, b"\r"), lambda: self._decoded_lines, _split_lines)
        return self.objects(objects)

    def _decoded_array(self, chunk: bytes) -> list[Any]:
        if len(chunk) > free_form.LONG_BYTES:
            return self._checked(self._long_array.decode(chunk))
        return self._array.decode(chunk)

    def _decoded_lines(self, block: bytes) -> list[Any]:
        """Decode line by line: one decoder for many lines would also accept two objects on a line, or one on two."""
        if len(block) > free_form.LONG_BYTES:
            return self._checked(list(map(self._long_one.decode, _split_lines(block))))
        return list(map(self._one.decode, _split_lines(block)))

    def _checked(self, objects: list[Any]) -> list[Any]:
        """Return structs whose texts are not decoded; with another value among these, all are decoded instead."""
        texts = (getattr(fields, name) for fields in objects for name in self._texts)
        if all(text is None or strict_json.is_text(text) for text in texts):
            return objects
        raise msgspec.ValidationError

    def _read(self, chunk: bytes, decode: Callable[[], Decode], split: Decode) -> list[Any]:
        """Decode objects into structs; an object with a field of an unexpected type stays a dict.

        For example, with the columns `name` and `total_actions`: `{"name":"a","totalActions":7}` becomes a struct.
        `{"name":"b","new":1}` teaches the decoder the field `new`, then becomes a struct too.
        `{"name":"c","totalActions":"7"}` stays a dict.
        """
        try:
            return decode()(chunk)
        except msgspec.ValidationError:
            raws = split(chunk)
            if len(chunk) > free_form.LONG_BYTES and self._learn(_keys(raws)):  # without Python objects of its values
                return self._read(chunk, decode, split)
            objects = [self._struct_or_dict(raw) for raw in raws]
        if self._learn(field for fields in objects if type(fields) is dict for field in fields):
            return self._read(chunk, decode, split)
        return objects

    def _struct_or_dict(self, raw: Raw | bytes) -> Any:  # noqa: ANN401 -- the structs are compiled
        try:
            return self._one.decode(raw)
        except msgspec.ValidationError:
            (fields,) = strict_json.check_depth([strict_json.decode(bytes(raw))])
            if isinstance(fields, dict):
                return fields
            raise

    def _learn(self, fields: Iterable[str]) -> bool:
        """Compile the structs anew with fields that are no columns; return whether there were any."""
        known = {*map(self._to_vendor_name, self._columns), *self._unknown, *self._mapper.ignored}
        found = dict.fromkeys(field for field in fields if field not in known)
        new = [field for field in found if not NEEDS_JSON_ESCAPE.search(field)]
        if not new or not self._mapper.keeps_unknown or len(self._unknown) + len(new) > _MAX_UNKNOWN_FIELDS:
            return False
        self._unknown += new
        self._compile()
        return True

    def objects(self, objects: list[Any]) -> RecordBatch:
        """Make records of objects.

        Args:
            objects: the vendor's, as dicts; or structs of this class.

        Returns:
            The records.

        Raises:
            InvalidJSON: If an object lacks the required column.
        """
        has_dicts = dict in set(map(type, objects))
        known = [fields for fields in objects if type(fields) is not dict] if has_dicts else objects
        values = self._values(known)
        converted = {name: convert(values[name]) for name, convert in self._converters.items()}
        columns = self._of_known(values, converted, len(known))
        self._move_to_extra(
            columns, values, [*self._unconvertible_values(values), *self._unconverted_values(values, converted)]
        )
        if has_dicts:
            self._insert(columns, objects)
        return RecordBatch(columns, len(objects))

    def _values(self, known: list[Any]) -> Values:
        """Return the values of structs, field by field."""
        columns = zip(*map(astuple, known), strict=True) if known else repeat((), len(self._fields))
        return dict(zip(self._fields, columns, strict=True))

    def _unconvertible_values(self, values: Values) -> Iterator[tuple[int, str, Any]]:
        """Find free-form values of another type than their column's; check that all can be passed on undecoded.

        For example, in a column of objects with the values `{"a":1}`, `[]` and `null`, the array at place 1 is found.
        """
        for name in self._free:
            raws = list(filter(None, values[name]))
            if not raws:
                continue
            joined = b",".join(raws)
            if not strict_json.is_safe_to_pass_through(joined, around=_OUTER_LEVELS):
                raise msgspec.DecodeError
            if name in self._free_types and not free_form.can_decode(self._free_types[name], raws, joined):
                places = free_form.unconvertible_places(self._free_types[name], raws, joined)
                yield from ((place, name, raws[place]) for place in places)

    def _unconverted_values(self, values: Values, converted: Mapping[str, list[Any]]) -> Iterator[tuple[int, str, Any]]:
        """Find values of converted columns that are no time, or no number."""
        for name, column in converted.items():
            if UNCONVERTIBLE in column:
                places = [place for place, value in enumerate(column) if value is UNCONVERTIBLE]
                yield from ((place, name, values[name][place]) for place in places)

    def _of_known(self, values: Values, converted: Mapping[str, list[Any]], number: int) -> Columns:
        """Return the selected columns of structs, in the order in which a record of `RecordMapper` has them."""
        columns: Columns = {
            name: repeat(value, number) for name, value in self._tap_columns.items() if name in self._selected
        }
        columns |= {name: converted[name] if name in converted else values[name] for name in self._sent}
        if "extra" in self._selected:
            columns["extra"] = self._extras(values, number)
        return columns

    def _move_to_extra(self, columns: Columns, values: Values, unconvertible: Iterable[tuple[int, str, Any]]) -> None:
        """Move values from their columns to `extra`, as far as these are selected."""
        for place, name, value in unconvertible:
            if name in columns:
                _listed(columns, name)[place] = None
            if "extra" in columns:
                extras = _listed(columns, "extra")
                if not isinstance(extras[place], dict):
                    raws = (values[field][place] for field in self._extra_fields)
                    fields = zip(self._unknown, raws, strict=True)
                    extras[place] = {field: raw for field, raw in fields if raw is not UNSET}
                extras[place][self._to_vendor_name(name)] = value

    def _insert(self, columns: Columns, objects: list[Any]) -> None:
        """Insert the records of objects that stayed dicts."""
        records = [(place, self._record(fields)) for place, fields in enumerate(objects) if type(fields) is dict]
        for name in columns:
            column = _listed(columns, name)
            for place, record in records:
                column.insert(place, record[name])

    def _extras(self, values: Values, number: int) -> Iterable[Any]:
        extra = self._extra
        if extra is None:
            return repeat(None, number)
        found = [values[field] for field in self._extra_fields]
        if any(UNSET not in column for column in found):  # then no record is without extra
            return map(extra, *found)
        nothing = (UNSET,) * len(found)
        return (None if fields == nothing else extra(*fields) for fields in zip(*found, strict=True))

    def _record(self, fields: dict[str, Any]) -> dict[str, Any]:
        if self._required is None:
            return self._mapper.record(fields, self._tap_columns)
        field = self._to_vendor_name(self._required)
        if self._aliases:
            name = next((alias for alias in (field, *self._aliases) if fields.get(alias) is not None), field)
            value = fields.get(name)
            identifier = str(value) if type(value) is int else value
            fields = {field: identifier, **{key: inner for key, inner in fields.items() if key not in {name, field}}}
        if not isinstance(fields.get(field), str) or not fields[field]:
            raise strict_json.InvalidJSON(f"holds a record that has no text as its {field}")
        return self._mapper.record(fields, self._tap_columns)


def _listed(columns: Columns, name: str) -> list[Any]:
    """Make a column a list, and return it."""
    values = columns[name]
    column = columns[name] = values if isinstance(values, list) else list(values)
    return column


def _split_lines(block: bytes) -> list[bytes]:
    found = block.split(b"\n")
    return found[:-1] if block.endswith(b"\n") else found


def _keys(objects: Iterable[Raw | bytes]) -> Iterator[str]:
    return (key for raw in objects for key, _ in strict_json.raw_members(raw))
