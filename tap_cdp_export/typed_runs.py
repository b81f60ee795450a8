"""The fast way out of a stream: a run of JSON becomes encoded RECORD lines without a dict in between.

The run is decoded into typed structs that are the stream's columns, and encoded from structs that are the
catalog's selection (research: performance, sections 3 and 10). It must give what `RecordShape` gives, so
whatever it cannot vouch for (a value of another type, a field it has not met, an odd escape) it leaves to the
tolerant way, for that run alone.
"""

from __future__ import annotations

import re
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from tap_cdp_export.records import camel_case, kind_of
from tap_cdp_export.windows import from_epoch_milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_MOST_UNKNOWN: Final = 100
_DEEPEST: Final = 12
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_ODD_ESCAPE: Final = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_INTEGER: Final = Annotated[int, Meta(ge=1 - 2**63, le=2**63 - 1)]
_TYPES: Final[dict[str, Any]] = {
    "string": str | None,
    "integer": _INTEGER | None,
    "date-time": _INTEGER | None,
    "number": int | float | None,
    "boolean": bool | None,
    "object": dict[str, Raw] | None,
}
_ITEMS: Final[dict[str, Any]] = {"string": str, "number": int | float, "object": dict[str, Raw]}


_UNSPEAKABLE: Final = re.compile(r'["\\\x00-\x1f]')
"""No field of a struct may be renamed to a name that has one of these in it."""


class Lines(NamedTuple):
    """Encoded records.

    Attributes:
        number: how many.
        data: JSON lines, each with its newline.
    """

    number: int
    data: bytes


class TypedRuns:
    """Encodes the records of one stream, for one set of the tap's own values."""

    def __init__(
        self,
        schema: Mapping[str, Any],
        *,
        own: Mapping[str, str],
        required: str,
        selected: Callable[[str], bool],
    ) -> None:
        """Compile the structs.

        Args:
            schema: the stream's JSON schema; the vendor spells its columns in camelCase.
            own: values of the tap's own columns.
            required: the column that no record may lack.
            selected: whether the catalog selects a column.
        """
        properties = schema["properties"]
        self._columns = {name: inner for name, inner in properties.items() if name not in {*own, "extra"}}
        self._required = required
        self._times = [name for name, inner in self._columns.items() if kind_of(inner) == "date-time"]
        self._own = tuple(value for name, value in own.items() if selected(name))
        self._sent = [name for name in self._columns if selected(name)]
        self._has_extra = selected("extra")
        self._out = msgspec.defstruct(
            "Out",
            [
                *((name, str) for name in own if selected(name)),
                *((name, Any) for name in self._sent),
                *([("extra", Any)] if self._has_extra else []),
            ],
            gc=False,
        )
        self._unknown: list[str] = []
        self._compile()

    def _compile(self) -> None:
        unknown = [(f"unknown_{number}", field) for number, field in enumerate(self._unknown)]
        optional = [(name, _type(inner), None) for name, inner in self._columns.items() if name != self._required]
        extra = [(name, Raw | UnsetType, UNSET) for name, _ in unknown]
        known = msgspec.defstruct(
            "Known",
            [(self._required, str), *optional, *extra],
            rename={**{name: camel_case(name) for name in self._columns}, **dict(unknown)},
            forbid_unknown_fields=True,
            gc=False,
        )
        self._decode = msgspec.json.Decoder(list[known]).decode  # type: ignore[valid-type]
        self._extra = msgspec.defstruct("Extra", extra, rename=dict(unknown), gc=False)
        self._of_sent = _tuple_getter(self._sent)
        self._of_unknown = _tuple_getter([name for name, _ in unknown])

    def learn(self, objects: Iterable[Mapping[str, Any]]) -> None:
        """Meet the fields of a run that went the tolerant way, so that the next one need not.

        Args:
            objects: the vendor's objects in it.
        """
        known = {*map(camel_case, self._columns), *self._unknown}
        met = dict.fromkeys(field for fields in objects for field in fields if field not in known)
        new = [field for field in met if not _UNSPEAKABLE.search(field)]
        if new and len(self._unknown) + len(new) <= _MOST_UNKNOWN:
            self._unknown += new
            self._compile()

    def lines(self, run: bytes) -> Lines:
        """Encode a run.

        Args:
            run: a JSON array of whole objects.

        Returns:
            The records in JSON lines.

        Raises:
            msgspec.DecodeError: If the run is no JSON, or the tolerant way must read it.
            UnicodeDecodeError: If it is not UTF-8.
        """
        run.decode()
        if _ODD_ESCAPE.search(run) or not _is_shallow(run):
            raise msgspec.ValidationError
        objects = self._decode(run)
        if b"\n" in run:  # raw values would carry newlines into the lines
            objects = self._decode(run.translate(None, b"\r\n"))
        for name in self._times:
            self._spell(objects, name)
        own, out, of_sent = self._own, self._out, self._of_sent
        if not self._has_extra:
            records = [out(*own, *of_sent(known)) for known in objects]
            return Lines(len(objects), msgspec.json.Encoder().encode_lines(records))
        extra, of_unknown = self._extra, self._of_unknown
        records = [out(*own, *of_sent(known), extra(*of_unknown(known))) for known in objects]
        lines = msgspec.json.Encoder().encode_lines(records)
        return Lines(len(objects), lines.replace(b'"extra":{}}\n', b'"extra":null}\n'))

    @staticmethod
    def _spell(objects: list[Any], name: str) -> None:
        """Turn a column of epoch milliseconds into text."""
        value_of = attrgetter(name)
        try:
            for known in objects:
                milliseconds = value_of(known)
                if milliseconds is not None:
                    setattr(known, name, from_epoch_milliseconds(milliseconds))
        except OverflowError:
            raise msgspec.ValidationError from None


def _type(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- a type expression
    kind = kind_of(schema)
    if kind != "array":
        return _TYPES[kind]
    item: Any = _ITEMS[kind_of(schema["items"])]
    return list[item] | None


def _tuple_getter(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) == 1:
        value_of = attrgetter(names[0])
        return lambda known: (value_of(known),)
    return attrgetter(*names) if names else lambda _known: ()


def _is_shallow(run: bytes) -> bool:
    """Tell that nothing is nested deeply, on a run whose texts hold few brackets."""
    brackets = run.translate(None, _NOT_BRACKETS)
    for _ in range(_DEEPEST):
        brackets = brackets.replace(b"{}", b"").replace(b"[]", b"")
    return not brackets
