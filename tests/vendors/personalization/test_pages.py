"""A large page is proven, and cut into small ones that give the same records."""

from __future__ import annotations

import gzip
import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_cdp_export.errors import UnusableAnswer
from tap_cdp_export.files.compression import drain
from tap_cdp_export.files.spool import Spool
from tap_cdp_export.records.json_decoder import JsonRecordDecoder
from tap_cdp_export.records.mapper import RecordMapper, camel_case
from tap_cdp_export.singer.stream import ExportStream
from tap_cdp_export.tap import TapCDPExport
from tap_cdp_export.vendors.personalization.pages import JsonPageDecoder, Pages
from tap_cdp_export.vendors.personalization.schemas import TAP_COLUMNS, USERS
from tests.helpers.configurations import config
from tests.helpers.json_documents import CHUNK_BYTES, OBJECTS, json_text, small_chunks
from tests.helpers.outputs import Output

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SHAPE = RecordMapper(USERS, tap_columns=TAP_COLUMNS, to_vendor_name=camel_case)
OWN_VALUES = {"dataset_id": "d", "window_start": "2026-01-01T00:00:00.000Z", "window_end": "2026-01-02T00:00:00.000Z"}
USERS_OF_A_PAGE = st.lists(st.tuples(st.text(min_size=1), OBJECTS), min_size=1, max_size=12)


def page_decoder() -> JsonPageDecoder:
    return JsonPageDecoder(JsonRecordDecoder(SHAPE, OWN_VALUES, [*USERS["properties"]], required="name"))


def rows(pages: list[bytes]) -> list[Any]:
    found: list[Any] = []
    for page in pages:
        with Spool.of(page) as spool:
            found += Output(USERS["properties"]).rows(page_decoder().decode(spool))
    return found


def pieces(page: bytes) -> list[bytes]:
    with Spool.of(page) as spool:
        return list(page_decoder().pieces(spool))


@given(users=USERS_OF_A_PAGE, run=CHUNK_BYTES, data=st.data(), packed=st.booleans())
def test_the_pieces_of_a_page_give_what_the_page_gives(
    users: list[tuple[str, dict[str, Any]]], run: int, data: st.DataObject, *, packed: bool
) -> None:
    text = data.draw(json_text(st.just([{**fields, "name": name} for name, fields in users])))
    page = gzip.compress(text) if packed else text
    with small_chunks(run):
        found = pieces(page)
    assert rows(found) == rows([page])


@pytest.mark.parametrize("bad", [{}, {"name": None}, {"name": 42}, {"name": ""}])
@pytest.mark.parametrize("way", [pieces, lambda page: rows([page])])
def test_an_object_without_a_name_is_found_before_the_first_piece_and_by_its_place(
    bad: dict[str, Any], way: Any
) -> None:
    objects = [{"name": f"{number}", "emailAddress": "canary"} for number in range(20_000)]
    before = json.dumps(objects[:15_000])[:-1]
    page = json.dumps([*objects[:15_000], bad, *objects[15_000:]]).encode()
    with pytest.raises(UnusableAnswer) as failure:
        way(page)
    assert f"no text as its name, near byte {len(before) + 2}" in str(failure.value)
    assert "canary" not in str(failure.value)


@pytest.mark.parametrize("behind", ["", "\n", " \r\n"])
def test_an_array_that_is_whole_in_memory_is_one_run(behind: str) -> None:
    with Spool.of((json.dumps([{"name": "a"}, {"name": "b"}]) + behind).encode()) as page:
        assert [batch.number for batch in page_decoder().decode(page)] == [2]


def test_pieces_are_runs_of_their_own() -> None:
    page = json.dumps([{"name": f"{number}", "attributes": {"x": "y" * 1000}} for number in range(2_000)]).encode()
    found = pieces(page)
    assert len(found) > 8
    for piece in found:
        with Spool.of(piece) as spool:
            assert len(list(page_decoder().decode(spool))) == 1
        assert [row["name"] for row in rows([piece])] == [user["name"] for user in json.loads(piece)]


# A server that ignores the number of a page


def users_stream(*, by_records: bool) -> ExportStream:
    """Build the stream of users, perhaps with a stream map that sees whole records."""
    maps = {"stream_maps": {"users": {"whole": "str(record)"}}} if by_records else {}
    stream = TapCDPExport(config={**config("personalization"), **maps}).streams["users"]
    assert isinstance(stream, ExportStream)
    assert stream.can_encode_columns() is not by_records
    return stream


def served(pages: Iterable[list[str]], *, by_records: bool, fat: bool = False) -> int:
    """Read pages of these names, each with other values; give how many were asked for."""
    numbers = itertools.count()
    given = iter(pages)

    def fetch(number: int) -> Spool:
        next(numbers)
        assert number < 400, "it loops"
        filler = {"attributes": {"x": "y" * 60_000}} if fat else {}
        users = [{"name": name, "lastActivity": 1e12 + number, **filler} for name in next(given, [])]
        body = json.dumps(users).encode()
        return Spool([body if fat else gzip.compress(body, mtime=number)])

    drain(Pages("users", fetch, page_decoder(), are_numbered=True).records_of(users_stream(by_records=by_records)))
    return next(numbers)


@pytest.mark.parametrize("by_records", [False, True])
@pytest.mark.parametrize(
    ("names", "fat", "before"), [(["a", "b"], False, 20), ([f"{n}" for n in range(60)], True, 20), (["a"], False, 120)]
)
def test_pages_whose_names_all_stood_on_earlier_pages_are_a_loop(
    names: list[str], before: int, *, fat: bool, by_records: bool
) -> None:
    asked = itertools.count()

    def same() -> Iterator[list[str]]:
        yield ["z", "y"]
        while True:
            next(asked)
            yield names

    with pytest.raises(UnusableAnswer, match="seems to ignore the parameter page"):
        served(same(), by_records=by_records, fat=fat)
    assert next(asked) < before


@pytest.mark.parametrize("by_records", [False, True])
@pytest.mark.parametrize(
    "pages",
    [
        [["a", "b"]] * 3 + [["c", "d"]] + [["a", "b"]] * 2,
        [["a"]] * 100 + [["b"]] + [["b"]] * 50,
        [["a"], ["b"]] * 40 + [["c"], ["c", "d"], ["c", "d"]],
        [["a", "b"], ["b", "c"], ["c", "a"], ["a", "b", "c"], ["a", "a"], ["b", "b"], ["a"]],
        [["a", "a"]] * 50 + [["b", "b", "b"]] * 50 + [["a"], ["a", "a"], ["b"]],
    ],
)
def test_pages_that_repeat_names_by_right_are_no_loop(pages: list[list[str]], *, by_records: bool) -> None:
    assert served(pages, by_records=by_records) == len(pages) + 1
