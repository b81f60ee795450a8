"""Make records of a vendor's objects: one rule for every stream, compiled from its JSON schema.

- A field of the vendor goes into the column that bears its name, if its type fits the column's.
- Everything else (unknown fields, values of another type) is kept under the vendor's name in `extra`.
- A column that the vendor left out is null, so that an upsert also clears what has been cleared.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tap_cdp_export.windows import epoch_texts, from_epoch_milliseconds, time_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Converter = Callable[[Any], Any]

UNCONVERTIBLE: Final = object()
"""What a converter returns for a value of another type than its column's."""

_LARGEST_INTEGER: Final = 2**63 - 1
_DIGITS: Final = 19
_FIRST_MILLISECONDS: Final = 10**11  # as seconds it is the year 5138, as milliseconds March 1973
_EPOCH_DIGITS: Final = frozenset({10, 13})  # seconds and milliseconds from 2001 to 2286
_DATE_DIGITS: Final = len("20240301")
_UNSET_TEXTS: Final = frozenset({"0", "-1"})
_SPACED_ZONE: Final = re.compile(r" ([-+][0-9]{2}:?[0-9]{2})$")
_TIME_LENGTH: Final = len("2024-03-01T08:30:00.000Z")


def _text(value: object) -> object:
    return value if isinstance(value, str) else UNCONVERTIBLE


def _integer(value: object) -> object:
    if isinstance(value, float) and value.is_integer():  # a Java server may write 1.3E12
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST_INTEGER:
        return value
    return UNCONVERTIBLE


def _integer_or_text(value: Any) -> object:  # noqa: ANN401 -- any JSON
    """Convert a whole number that the vendor sends as a number or as text."""
    is_digits = isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= _DIGITS
    return _integer(int(value) if is_digits else value)


def _number(value: object) -> object:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else UNCONVERTIBLE


def _boolean(value: object) -> object:
    return value if isinstance(value, bool) else UNCONVERTIBLE


def _object(value: object) -> object:
    return value if isinstance(value, dict) else UNCONVERTIBLE


def _array(item: Converter | None) -> Converter:
    def convert(value: object) -> object:
        if not isinstance(value, list):
            return UNCONVERTIBLE
        if item is not None and any(item(element) is UNCONVERTIBLE for element in value):
            return UNCONVERTIBLE
        return value

    return convert


def _from_epoch(number: float) -> object:
    """Convert seconds or milliseconds since 1970: no vendor has times before March 1973 in milliseconds."""
    milliseconds = _integer(round(number * 1000) if abs(number) < _FIRST_MILLISECONDS else number)
    try:
        return from_epoch_milliseconds(milliseconds) if isinstance(milliseconds, int) else UNCONVERTIBLE
    except OverflowError:
        return UNCONVERTIBLE


def any_time(value: object) -> object:
    """Convert a time in any form: ISO 8601, or seconds or milliseconds since 1970, as a number or as text.

    Args:
        value: any JSON value.

    Returns:
        RFC 3339 text, or `UNCONVERTIBLE`: `1750000000`, `1750000000000` and `2025-06-15 15:06:40 UTC` all give
        `2025-06-15T15:06:40.000Z`.
    """
    if isinstance(value, str):
        if value.isdecimal() and len(value) != _DATE_DIGITS:
            return _from_epoch(int(value)) if len(value) in _EPOCH_DIGITS else UNCONVERTIBLE
        return _iso_time(value)
    number = _number(value)
    return _from_epoch(number) if isinstance(number, int | float) else UNCONVERTIBLE


def epoch_time(value: object) -> object:
    """Convert a time as `any_time` does, where 0 and negative numbers mean that it is not set.

    Args:
        value: any JSON value.

    Returns:
        RFC 3339 text, None for a time that is not set, or `UNCONVERTIBLE`.
    """
    number = _number(value)
    is_unset = value in _UNSET_TEXTS if isinstance(value, str) else isinstance(number, int | float) and number <= 0
    return None if is_unset else any_time(value)


def _iso_time(text: str) -> object:
    """Convert an ISO 8601 time, also one with ` UTC` or ` +0200` behind it."""
    try:
        time = datetime.fromisoformat(_SPACED_ZONE.sub(r"\1", text.removesuffix(" UTC")))
        return time_text(time if time.tzinfo else time.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return UNCONVERTIBLE


def epoch_column(values: Iterable[int | None]) -> list[Any]:
    """Convert a column of numbers, as `epoch_time` does.

    Args:
        values: integers and nulls.

    Returns:
        For each value RFC 3339 text, None or `UNCONVERTIBLE`.
    """
    values = milliseconds = list(values)
    if min(filter(None, values), default=_FIRST_MILLISECONDS) < _FIRST_MILLISECONDS or 0 in values:
        milliseconds = [None if value is None or value <= 0 else _milliseconds(value) for value in values]
    try:
        return epoch_texts(milliseconds)
    except OverflowError:
        return [None if value is None else epoch_time(value) for value in values]


def _milliseconds(number: int) -> int:
    return number * 1000 if number < _FIRST_MILLISECONDS else number


def integer_column(values: Iterable[int | str | None]) -> list[object]:
    """Convert a column of whole numbers, some of which may be text.

    Args:
        values: integers, texts and nulls.

    Returns:
        For each value an integer, None or `UNCONVERTIBLE`.
    """
    return [None if value is None else _integer_or_text(value) if type(value) is str else value for value in values]


def iso_column(values: Iterable[str | None]) -> list[object]:
    """Convert a column of ISO 8601 times, as `any_time` does.

    Args:
        values: texts and nulls.

    Returns:
        For each value RFC 3339 text, None or `UNCONVERTIBLE`.
    """
    values = list(values)
    converted = _convert_in_one_text([value for value in values if value is not None])
    if converted is None:
        return [None if value is None else any_time(value) for value in values]
    times = iter(converted)
    return [None if value is None else next(times) for value in values]


def _convert_in_one_text(values: list[str]) -> list[str] | None:
    """Convert times in UTC with milliseconds all at once; return None if any has another form.

    `["2024-03-01 08:30:00.000 UTC", "2024-03-02T00:00:00.000Z"]` becomes one text of two lines; after two replacements
    it is `2024-03-01T08:30:00.000Z` and `2024-03-02T00:00:00.000Z`. Each must then have the length, and the text as
    many `Z` as there are times; `msgspec` checks that each is a real date.
    """
    joined = "\n".join(values).replace(" UTC", "Z").replace(" ", "T")
    texts = joined.split("\n") if values else []
    if set(map(len, texts)) - {_TIME_LENGTH} or not len(texts) == len(values) == joined.count("Z") or "t" in joined:
        return None
    try:
        msgspec.convert(texts, list[datetime])
    except msgspec.ValidationError:
        return None
    return texts


_CONVERTERS: Final[dict[str, Converter]] = {
    "string": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "object": _object,
}


def _type(schema: Mapping[str, Any]) -> str:
    types = schema["type"]
    return types if isinstance(types, str) else next(name for name in types if name != "null")


def kind_of(schema: Mapping[str, Any]) -> str:
    """Return what a column holds.

    Args:
        schema: the column's JSON schema.

    Returns:
        Its one type besides null, or `date-time`.
    """
    return "date-time" if schema.get("format") == "date-time" else _type(schema)


def _converter(schema: Mapping[str, Any], time: Converter) -> Converter:
    kind = kind_of(schema)
    if kind == "array":
        return _array(_CONVERTERS[_type(schema["items"])])
    return time if kind == "date-time" else _CONVERTERS[kind]


def camel_case(column: str) -> str:
    """Convert a column's name to camelCase.

    Args:
        column: such as `first_activity`.

    Returns:
        Such as `firstActivity`.
    """
    first, *rest = column.split("_")
    return first + "".join(word.capitalize() for word in rest)


class RecordMapper:
    """Makes the records of one stream.

    Attributes:
        columns: JSON schemas of the columns that the vendor fills, by name.
        to_vendor_name: from a column's name to the vendor's.
        time: converter of date-time columns.
        counts: integer columns that the vendor may also send as text.
        ignored: the vendor's names of fields that another stream holds.
        keeps_unknown: whether a field without a column goes to `extra`.
    """

    def __init__(  # noqa: PLR0913 -- what may differ between two streams
        self,
        schema: Mapping[str, Any],
        *,
        tap_columns: frozenset[str],
        to_vendor_name: Callable[[str], str] = str,
        time: Converter = epoch_time,
        counts: frozenset[str] = frozenset(),
        ignored: frozenset[str] = frozenset(),
        keeps_unknown: bool = True,
    ) -> None:
        """Compile the columns.

        Args:
            schema: the stream's JSON schema.
            tap_columns: columns that the tap fills itself; a vendor's field never reaches them.
            to_vendor_name: from a column's name to the vendor's.
            time: converter of date-time columns.
            counts: integer columns that the vendor may also send as text, such as `"12"`.
            ignored: the vendor's names of fields that another stream holds: they are left out.
            keeps_unknown: whether a field without a column goes to `extra`.
        """
        self.columns = {
            name: inner for name, inner in schema["properties"].items() if name not in {*tap_columns, "extra"}
        }
        self.to_vendor_name = to_vendor_name
        self.time = time
        self.counts = counts
        self.ignored = ignored
        self.keeps_unknown = keeps_unknown
        self._empty = dict.fromkeys(self.columns)
        self._converters = {
            to_vendor_name(name): (name, _integer_or_text if name in counts else _converter(inner, time))
            for name, inner in self.columns.items()
        }

    def record(self, fields: Mapping[str, Any], tap_columns: Mapping[str, Any]) -> dict[str, Any]:
        """Make one record.

        Args:
            fields: the vendor's object; a value that is encoded already (`msgspec.Raw`) must fit its column.
            tap_columns: the values of the tap's own columns.

        Returns:
            The record, with every column of the schema.
        """
        record: dict[str, Any] = {**tap_columns, **self._empty, "extra": None}
        extra = {}
        for field, value in fields.items():
            column, convert = self._converters.get(field, (field, None))
            if convert is None and (field in self.ignored or not self.keeps_unknown):
                continue
            if convert is None:
                converted = UNCONVERTIBLE
            else:
                converted = value if value is None or type(value) is msgspec.Raw else convert(value)
            if converted is UNCONVERTIBLE:
                extra[field] = value
            else:
                record[column] = converted
        if extra:
            record["extra"] = extra
        return record
