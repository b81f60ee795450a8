"""Describe the array or object in a JSON document whose members are split."""

from __future__ import annotations

import json
import re
from typing import Final, NamedTuple

from tap_cdp_export.errors import UnusableAnswer

STRING: Final = rb'"(?:[^"\\]++|\\.)*+"'
"""Pattern of a JSON string."""


class Container(NamedTuple):
    """The array or object that is split.

    Attributes:
        opening: `[` or `{`.
        closing: `]` or `}`.
        boundary: pattern from the last byte of a member up to the first byte of the next; never matches a whole member.
        key: top-level key of the container; None if the container is the whole document.
    """

    opening: bytes
    closing: bytes
    boundary: re.Pattern[bytes]
    key: str | None = None


class NoMembers(UnusableAnswer):
    """The top-level object lacks the container's key: vendors send an error report of this form instead of a file."""


ARRAY_OF_OBJECTS: Final = Container(b"[", b"]", re.compile(rb"\}[ \t\n\r]*,[ \t\n\r]*(?=\{)"))


def object_under(key: str, first_inner_key: str) -> Container:
    """Describe an object of objects under a top-level key, such as `{"profiles":{"a":{...},"b":{...}}}`.

    Args:
        key: the top-level key.
        first_inner_key: the first key of most members; other members are read correctly, but slower.
    """
    return object_of(first_inner_key)._replace(key=key)


def object_of(first_inner_key: str) -> Container:
    """Describe a document that is an object of objects, such as `{"a":{...},"b":{...}}`.

    Args:
        first_inner_key: as in `object_under`.
    """
    space = rb"[ \t\n\r]*"
    inner = json.dumps(first_inner_key).encode()
    boundary = rb"\}" + space + b"," + space + rb"(?=" + STRING + space + b":" + space + rb"\{" + space + inner + b")"
    return Container(b"{", b"}", re.compile(boundary))
