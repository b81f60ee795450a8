"""Hypothesis strategies for JSON documents: values, formatting and chunk sizes."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st

from tap_cdp_export.files import compression, json_chunks, json_splitter
from tap_cdp_export.files.json_container import object_under

if TYPE_CHECKING:
    from collections.abc import Iterator

HOSTILE_TEXTS = st.sampled_from(
    [
        '"',
        "\\",
        '\\"',
        "},{",
        '"},{"',
        '},"b":{"sections":',
        "]",
        "}",
        "[{",
        "\n",
        "\u2028",
        "\x85",
        "é",
        "😀",
        "\\u0000",
        "NaN",
    ]
)
TEXTS = st.lists(HOSTILE_TEXTS | st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=4).map("".join)
STORABLE_TEXTS = TEXTS.map(lambda text: text.replace("\0", ""))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**63), max_value=2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | STORABLE_TEXTS
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STORABLE_TEXTS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(STORABLE_TEXTS, VALUES, max_size=5)


@st.composite
def json_text(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> bytes:
    """Encode a value as JSON with random whitespace and escapes."""
    indent = draw(st.sampled_from([None, 0, 3]))
    comma, colon = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t: ")]))
    text = json.dumps(
        draw(values), ensure_ascii=draw(st.booleans()), indent=indent, separators=(comma, colon), allow_nan=False
    )
    return text.encode()


def in_chunks(data: bytes, size: int) -> Iterator[bytes]:
    """Split bytes into chunks of one size."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


PROFILES = object_under("profiles", "sections")
CHUNK_BYTES = st.sampled_from([1, 16, 64, 1024])
ARRAYS = st.lists(OBJECTS, max_size=6)
MEMBERS = OBJECTS.map(lambda fields: {"sections": {}, **fields}) | OBJECTS
TOP_KEYS = STORABLE_TEXTS.filter(lambda key: key != "profiles")


@st.composite
def files(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a document with its members under `profiles`, among other keys."""
    before = draw(st.dictionaries(TOP_KEYS, VALUES, max_size=2))
    after: dict[str, Any] = draw(
        st.dictionaries(TOP_KEYS, VALUES | st.just({"sections": {"a": {"sections": {}}}}), max_size=2)
    )
    after = {key: value for key, value in after.items() if key not in before}
    return {**before, "profiles": draw(st.dictionaries(STORABLE_TEXTS, MEMBERS, max_size=6)), **after}


@contextmanager
def small_chunks(size: int, *, member_bytes: int = json_splitter.MEMBER_BYTES) -> Iterator[None]:
    """Lower the limits, so that small documents use the code paths of large ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_splitter, "_CHUNK_BYTES", size)
        patch.setattr(json_chunks, "_CHUNK_BYTES", size)
        patch.setattr(json_splitter, "_NEAR_BYTES", max(size // 2, 1))
        patch.setattr(compression, "_SMALL_BYTES", 0)
        patch.setattr(json_splitter, "MEMBER_BYTES", member_bytes)
        yield


MALFORMED_MEMBERS = {
    "bad UTF-8": b'{"a":"\xff"}',
    "bad UTF-8 in a key": b'{"\xff":1}',
    "an integer of 5000 digits": b'{"a":' + b"1" * 5000 + b"}",
    "half a NaN": b'{"a":Na}',
    "deep nesting": b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "a raw newline in a text": b'{"a":"\n"}',
    "an unknown escape": b'{"a":"\\x"}',
    "no object": b"1",
    "no end": b'{"a":1',
    "no comma": b'{"a":1}{"a":1}',
}
