"""Split the lists of encoded objects into their entries, which stay the vendor's bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import NODEFAULT, UNSET, Meta, Raw, UnsetType
from msgspec.structs import astuple

from tap_cdp_export.files import strict_json
from tap_cdp_export.records.batch import encode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

_ESCAPED_LETTER: Final = re.compile(rb"\\u00(?:[67]|5[fF])")
"""A letter or underscore that needs no escape: the name of a list may be spelled with one."""


class Lists(NamedTuple):
    """The lists of many objects.

    Attributes:
        names: what identifies each object; None where it has no text as its name.
        entries: encoded entries, by list and object.
    """

    names: Sequence[str | None]
    entries: Mapping[str, Sequence[Sequence[Raw]]]


class ListReader:
    """Reads the lists of objects of one kind."""

    def __init__(self, name: str, lists: Collection[str], *, required: bool) -> None:
        """Compile the decoder.

        Args:
            name: the field that identifies an object.
            lists: the fields with a list.
            required: whether every object must have a text as its name.
        """
        self._name = name
        self._lists = sorted({*lists})
        text: Any = Annotated[str, Meta(min_length=1)] if required else str | None
        fields = {f"list_{number}": field for number, field in enumerate(self._lists)}
        known = msgspec.defstruct(
            "Known",
            [
                ("name", text, NODEFAULT if required else None),
                *((field, list[Raw] | UnsetType | None, UNSET) for field in fields),
            ],
            rename={"name": name, **fields},
            gc=False,
        )
        self._decoder = msgspec.json.Decoder(known)

    def encoded(self, objects: Sequence[bytes | Raw]) -> Lists:
        """Read encoded objects.

        Args:
            objects: each a JSON value of the documented form.

        Returns:
            Their lists.

        Raises:
            msgspec.DecodeError: If a value is of another form, or repeats a key: only `decoded` loses nothing then.
        """
        found = list(map(self._decoder.decode, objects))
        if not found:
            return self.decoded([])
        names, *lists = zip(*map(astuple, found), strict=True)
        self._refuse_repeated_keys(objects, len(found) * len(lists) - sum(column.count(UNSET) for column in lists))
        return Lists(
            names,
            {field: [entries or () for entries in column] for field, column in zip(self._lists, lists, strict=True)},
        )

    def _refuse_repeated_keys(self, objects: Sequence[bytes | Raw], number: int) -> None:
        """Count how often the lists are named: a decoder keeps only the last value of a key that comes twice.

        More names than lists are no proof, since such a name may also stand further inside.
        """
        text = b"\n".join(objects)
        is_plain = sum(text.count(b'"%b"' % field.encode()) for field in self._lists) == number
        if is_plain and not (b"\\" in text and _ESCAPED_LETTER.search(text)):
            return
        if any(strict_json.repeats_a_key(value, 1) for value in objects):
            raise msgspec.DecodeError

    def decoded(self, objects: Iterable[Any]) -> Lists:
        """Read decoded objects of any form.

        Args:
            objects: JSON values.

        Returns:
            Their lists; anything else in place of a list is an entry, so that nothing is lost.
        """
        fields = [value if isinstance(value, dict) else {} for value in objects]
        names = [one.get(self._name) for one in fields]
        return Lists(
            [name if isinstance(name, str) else None for name in names],
            {field: [_encoded_entries(one.get(field)) for one in fields] for field in self._lists},
        )


def _encoded_entries(value: object) -> list[Raw]:
    if value is None:
        return []
    return [Raw(encode(entry)) for entry in (value if isinstance(value, list) else [value])]
