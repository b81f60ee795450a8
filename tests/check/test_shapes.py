"""Names, types and forms are shown; values are not, wherever they stand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_cdp_export.check.shapes import MOST_PATHS, encoding, form, header_names, media_type, shape, shown_name

KNOWN = frozenset({"displayName"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty"),
        ("b7f0c2f4-5a3e-4b0c-8f51-2f6d5c1a9e10", "uuid"),
        ("9820534", "digits"),
        ("-1.5e3", "decimal"),
        ("2024-03-01", "date"),
        ("2020-07-10 15:00:00.000 UTC", "date-time"),
        ("2021-07-07T20:45:24.000+00:00", "date-time"),
        ("5fbd99bac125ca40511f2cb1", "hex"),
        ("https://shop.example/?a=b", "url"),
        ("/audience/x", "path"),
        ("anna@shop.example", "email"),
        ("Anna Svensson", "text"),
    ],
)
def test_the_form_of_a_text(text: str, expected: str) -> None:
    assert form(text) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("displayName", "displayName"),
        ("file_download_url_v2", "file_download_url_v2"),
        ("x-amz-request-id", "x-amz-request-id"),
        ("exportStatus", "exportStatus"),
        ("annaStatus", "{text}"),
        ("status of Anna", "{text}"),
        ("anna@shop.example", "{email}"),
        ("1", "{digits}"),
        ("id9820534", "{text}"),
        ("", "{empty}"),
        ("åsa", "{text}"),
    ],
)
def test_a_name_is_shown_only_if_it_is_documented_or_technical(name: str, expected: str) -> None:
    assert shown_name(name, KNOWN) == expected


def test_key_paths_come_with_their_types() -> None:
    document = {"items": [{"id": "7", "Anna": None}, {"id": 7, "tags": []}], "total": 1.5, "next": {}}
    assert shape(document, KNOWN) == {
        "": ["object"],
        "items": ["array"],
        "items[]": ["object"],
        "items[].id": ["integer", "text (digits)"],
        "items[].{text}": ["null"],
        "items[].tags": ["array (empty)"],
        "total": ["number"],
        "next": ["object (empty)"],
    }


def test_a_document_without_end_gives_a_bounded_shape() -> None:
    deep: Any = 1
    for _ in range(5_000):
        deep = [deep]
    assert len(shape({"items": deep, **{"id_" * n: 1 for n in range(1, 20_000, 60)}}, KNOWN)) <= MOST_PATHS


def test_headers_are_shown_by_name_and_media_types_from_a_closed_list() -> None:
    headers = {"Content-Type": "text/csv; charset=utf-8", "X-Anna": "1", "Retry-After": "7", "Content-Encoding": "anna"}
    assert header_names(headers) == ["content-encoding", "content-type", "retry-after", "{text}"]
    assert (media_type(headers), encoding(headers)) == ("text/csv", "other")
    assert (media_type({"Content-Type": "anna/svensson"}), media_type({})) == ("other", "")


PLANTED = st.sampled_from(
    ["Zq7Planted", "zq7planted@shop.example", "zq7planted", "https://zq7planted.example", "zq7_planted"]
)
DOCUMENTS = st.recursive(
    PLANTED | st.integers(min_value=770_077_007_700, max_value=770_077_007_799),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLANTED | st.just("id"), inner, max_size=3),
    max_leaves=12,
)


@given(DOCUMENTS)
def test_no_value_and_no_unknown_name_is_in_a_shape(document: Any) -> None:
    text = json.dumps(shape(document, KNOWN)).lower()
    assert "zq7" not in text
    assert "7700770077" not in text
