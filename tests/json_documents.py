"""JSON documents as strangers write them: any value, any spelling, any cut."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

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
def spelled(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> bytes:
    """Write a value as JSON in one of many spellings."""
    indent = draw(st.sampled_from([None, 0, 3]))
    comma, colon = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t: ")]))
    text = json.dumps(
        draw(values), ensure_ascii=draw(st.booleans()), indent=indent, separators=(comma, colon), allow_nan=False
    )
    return text.encode()


def in_chunks(data: bytes, size: int) -> Iterator[bytes]:
    """Cut bytes into chunks of one size."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
