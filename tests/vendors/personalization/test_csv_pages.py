"""Pages in CSV: the same objects as from JSON, whatever the dialect, and every cell somewhere."""

from __future__ import annotations

import csv
import gzip
import io
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_cdp_export.errors import UnusableAnswer
from tap_cdp_export.files.spool import Spool
from tap_cdp_export.records.mapper import RecordMapper, camel_case
from tap_cdp_export.vendors.personalization import csv_pages
from tap_cdp_export.vendors.personalization.csv_decoder import CsvPageDecoder
from tap_cdp_export.vendors.personalization.csv_pages import CsvPages
from tap_cdp_export.vendors.personalization.long_cells import LongCells
from tap_cdp_export.vendors.personalization.schemas import ACCOUNTS, TAP_COLUMNS, USERS
from tests.helpers.json_documents import STORABLE_TEXTS
from tests.helpers.outputs import Output

if TYPE_CHECKING:
    from collections.abc import Callable

CELLS = STORABLE_TEXTS | st.sampled_from(['"', 'a"b', "a,b", "a;b", "line\nbreak", "line\r\nbreak", "=cmd", " padded "])
COLUMNS = st.lists(CELLS.filter(lambda name: name and not name.lstrip().startswith("<")), max_size=4, unique=True)


def objects(pages: CsvPages, page: Spool) -> list[dict[str, Any]]:
    found = [pages.object(header, row) for header, rows in pages.tables(page) for row in rows]
    return [{name: decoded(value) for name, value in fields.items()} for fields in found]


def decoded(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value


def read(
    page: bytes,
    stream: str = "users",
    separator: str | None = None,
    *,
    chunks: int | None = None,
    delimiter: str = ",",
) -> list[dict[str, Any]]:
    size = chunks or max(len(page), 1)
    with Spool([page[start : start + size] for start in range(0, len(page), size)]) as spool:
        schema = USERS if stream == "users" else ACCOUNTS
        return objects(CsvPages(stream, schema, separator, delimiter=delimiter), spool)


def cut(page: bytes, *, delimiter: str = ",") -> list[bytes]:
    with Spool([page]) as spool:
        return list(CsvPages("users", USERS, None, delimiter=delimiter).pieces(spool))


def written(rows: list[list[str]], *, end: str, quoting: Any, delimiter: str = ",") -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator=end, quoting=quoting, delimiter=delimiter).writerows(rows)
    return out.getvalue().encode()


@given(
    columns=COLUMNS,
    data=st.data(),
    end=st.sampled_from(["\n", "\r\n"]),
    delimiter=st.sampled_from(",;\t|:"),
    packed=st.booleans(),
)
def test_every_cell_comes_through_under_its_column_whatever_the_dialect(
    columns: list[str], data: st.DataObject, end: str, delimiter: str, *, packed: bool
) -> None:
    columns = ["name", *(f"x{column}" for column in columns)]
    rows = data.draw(st.lists(st.tuples(CELLS.filter(bool), *[CELLS] * (len(columns) - 1)).map(list), max_size=4))
    needs_quotes = any("\r" in cell for row in [columns, *rows] for cell in row)  # the writer forgets that one
    quoting = csv.QUOTE_ALL if needs_quotes else data.draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    blank = data.draw(st.sampled_from(["", end, f" {end}", 2 * end])).encode()
    page = (
        b"\xef\xbb\xbf" * data.draw(st.booleans())
        + blank
        + written([columns, *rows], end=end, quoting=quoting, delimiter=delimiter)
    )
    expected = [{name: cell or None for name, cell in zip(columns, row, strict=True)} for row in rows]
    sent = gzip.compress(page) if packed else page
    assert read(sent, chunks=data.draw(st.integers(1, 50)), delimiter=delimiter) == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_pages, "_ROWS", 1)
        pieces = cut(sent, delimiter=delimiter)
        assert [read(piece, delimiter=delimiter) for piece in pieces] == [[fields] for fields in expected]


def test_a_piece_begins_as_the_page_does_however_odd_that_is() -> None:
    page = b"\xef\xbb\xbf" * 2 + b"name,id\nA,a\n"
    assert [fields for piece in cut(page) for fields in read(piece)] == read(page)


@pytest.mark.parametrize("way", [read, cut])
def test_a_row_without_an_identifier_is_named(way: Callable[[bytes], object]) -> None:
    with pytest.raises(UnusableAnswer, match="Row 3 of a CSV page has no identifier"):
        way(b"displayName,name\nA,a\nB,b\n\ncanary,\n")


def test_known_columns_are_read_as_json_would_give_them() -> None:
    page = (
        b"name,engagementScore,firstActivity,totalActions,attributes,segments,displayName\n"
        b'00042,2.0E-4,1358957180647,7,"{""a"": [1]}",A|B,5\n'
    )
    assert read(page, separator="|") == [
        {
            "name": "00042",
            "engagementScore": 0.0002,
            "firstActivity": 1358957180647,
            "totalActions": 7,
            "attributes": {"a": [1]},
            "segments": ["A", "B"],
            "displayName": "5",
        }
    ]


def test_without_a_separator_a_list_cell_stays_one_element() -> None:
    assert read(b"name,segments\na,A|B\n")[0]["segments"] == ["A|B"]


@pytest.mark.parametrize("cell", ["soon", "1e999", "nan", "inf", "1,5", "1_000", "٣", "0x10", "1" * 5000])
@pytest.mark.parametrize("column", ["engagementScore", "totalActions", "firstActivity"])
def test_a_numbers_column_keeps_what_is_no_number_as_text(column: str, cell: str) -> None:
    assert read(f'name,{column}\na,"{cell}"\n'.encode())[0][column] == cell


@pytest.mark.parametrize(
    ("stream", "header", "key"),
    [
        ("users", b"displayName,userId", "userId"),
        ("users", b"displayName,id", "id"),
        ("accounts", b"x,accountName", "accountName"),
        ("accounts", b"x,accountID", "accountID"),
    ],
)
def test_the_identifier_is_found_under_its_other_names(stream: str, header: bytes, key: str) -> None:
    (fields,) = read(header + b"\nx,the key\n", stream)
    assert fields["name"] == "the key"
    assert key not in fields


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("Name,DisplayName,Colour", ["name", "displayName", "Colour"]),
        ("User ID,last_activity,ID", ["name", "lastActivity", "id"]),
        (" name ,TOTALACTIONS,x", ["name", "totalActions", "x"]),
        ("name,DisplayName,Id", ["name", "DisplayName", "Id"]),
        ("NAME,Name,x", ["name", "name (2)", "x"]),
    ],
)
def test_a_header_that_spells_the_identifier_otherwise_is_read_by_its_letters(header: str, names: list[str]) -> None:
    (fields,) = read(f"{header}\n1,2,3\n".encode())
    assert list(fields) == names


@pytest.mark.parametrize(
    ("delimiter", "page", "advice"),
    [
        (",", b"name;displayName\na;canary\n", "semicolon: set personalization.csv_delimiter"),
        (",", b"name\tdisplayName\na\tcanary\n", "tab: set personalization.csv_delimiter"),
        (";", b"name,displayName\na,canary\n", "comma: set personalization.csv_delimiter"),
        (",", b"x,y\na,canary\n", ""),
    ],
)
def test_another_delimiter_is_not_guessed_but_named(delimiter: str, page: bytes, advice: str) -> None:
    with pytest.raises(UnusableAnswer, match=r"no column for the identifier \(name, userId, id\)") as failure:
        read(page, delimiter=delimiter)
    assert ("csv_delimiter" in str(failure.value)) == bool(advice)
    assert advice in str(failure.value)
    assert "canary" not in str(failure.value)


def test_a_name_column_is_preferred_and_the_other_ids_are_kept() -> None:
    assert read(b"id,userId,name\n1,2,3\n") == [{"id": "1", "userId": "2", "name": "3"}]


def test_columns_with_the_same_name_are_all_kept() -> None:
    (fields,) = read(b"name,x,x,name,x (2)\n1,2,3,4,5\n")
    assert fields["name"] == "1"
    assert sorted(fields.values()) == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("page", [b"", b"\n", b"name,x\n", b"name,x", b"\xef\xbb\xbfname\r\n", b"name,x\n\n\n"])
def test_no_rows_are_no_records(page: bytes) -> None:
    assert read(page) == []


@pytest.mark.parametrize(
    "page",
    [
        b"name,x\na\n",
        b"name,x\na,b,canary\n",
        b'name,x\na,"canary',
        b'name,x\na,"b"canary\n',
        b"name,x\na,canary\xff\n",
        b"x,y\ncanary,b\n",
        b"<html>canary</html>\n",
        b"  <!DOCTYPE html>\n",
    ],
)
def test_a_page_that_is_no_csv_of_users_is_an_error_that_does_not_quote_it(page: bytes) -> None:
    with pytest.raises(UnusableAnswer) as failure:
        read(page)
    assert failure.value.exit_code == 12
    assert "canary" not in str(failure.value)


def test_a_nul_is_replaced() -> None:
    assert read(b"name,x\0\na,b\0c\n")[0]["x\ufffd"] == "b\ufffdc"


def test_pages_with_columns_of_their_own_leave_nothing_behind() -> None:
    tap_columns = {"dataset_id": "d"}
    decoder = CsvPageDecoder(
        CsvPages("users", USERS, None),
        RecordMapper(USERS, tap_columns=TAP_COLUMNS),
        tap_columns,
        [*USERS["properties"]],
    )

    def rows() -> int:
        with Spool([b"name,City\na,Oslo\nb,Bergen\n"]) as page:
            return len(Output(USERS["properties"]).rows(decoder.decode(page)))

    assert rows() == 2
    kinds = len(msgspec.Struct.__subclasses__())
    assert sum(rows() for _ in range(50)) == 100
    assert len(msgspec.Struct.__subclasses__()) == kinds


@pytest.mark.parametrize("blank", ["\n", "\r\n"])
def test_a_page_of_blank_lines_is_refused_and_some_of_them_do_no_harm(
    monkeypatch: pytest.MonkeyPatch, blank: str
) -> None:
    monkeypatch.setattr("tap_cdp_export.vendors.personalization.csv_pages._MOST_BLANK", 1_000)
    pages = CsvPages("users", USERS, None)
    with Spool([f"name{blank}{blank * 400}a{blank}".encode()]) as spool:
        assert [row["name"] for row in objects(pages, spool)] == ["a"]
    with Spool([f'name,x{blank}a,"{"line" + blank * 3}"{blank}'.encode()]) as spool:
        assert [row["x"] for row in objects(pages, spool)] == ["line" + blank * 3]
    with Spool([f"name{blank}{blank * 5_000}a{blank}".encode()]) as spool, pytest.raises(UnusableAnswer, match="blank"):
        objects(pages, spool)
    rows = "".join(f"a user of the page {number}{blank}{blank * 3}" for number in range(1_000))
    with Spool([f"name{blank}{rows}".encode()]) as spool:
        assert len(objects(pages, spool)) == 1_000


def test_a_first_line_of_a_great_many_spaces_is_blank_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_pages, "_TABLE_CHARACTERS", 1_000)
    with Spool([b" " * 100_000 + b"\r\nname\r\na\r\n"]) as spool:
        assert [row["name"] for row in objects(CsvPages("users", USERS, None), spool)] == ["a"]


@pytest.mark.parametrize("cells", [b"%b", b'"%b\n%b\n%b"', b'"%b","%b\n"'])
@pytest.mark.parametrize("behind", [b"", b"\nb,,\n"])
def test_a_row_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch, cells: bytes, behind: bytes) -> None:
    monkeypatch.setattr(csv_pages, "MEMBER_BYTES", 500_000)
    monkeypatch.setattr(csv_pages, "_TABLE_CHARACTERS", 50_000)
    pieces = cells.count(b"%b")
    for length, is_refused in ((499_900, False), (500_100, True), (5_000_000, True)):
        row = b"a," + cells % ((b"x" * (length // pieces),) * pieces) + b"," * (2 - cells.count(b'","') - 1)
        page = b"name,one,two\n" + b"c,,\n" * 600 + row + behind
        if is_refused:
            with pytest.raises(UnusableAnswer, match="A row of a CSV page is longer"):
                read(page)
        else:
            assert any("x" * 100 in str(found) for found in read(page))


TEXT = 'say "hi", \0 or\r\nnot; \U0001f600\n' * 300
LONG_ROWS = {
    "one text": ["a", "x" * 9_000],
    "a text and what follows": ["a", "x" * 9_000, "b", "", "c"],
    "quotes, commas and newlines": ["a", TEXT, TEXT, "b", TEXT],
    "the identifier": [TEXT, "b"],
    "nothing but quotes": ["a", '"' * 8_001, "b", "," * 9_000],
    "nothing but newlines": ["a", "\n" * 2_000, "b", "\r\n" * 2_000],
    "an object": ["a", "", "", "", "", json.dumps({"a": TEXT, "b": [1.5, None, 10**30]}, indent=1)],
    "no object": ["a", "", "", "", "", json.dumps([TEXT])],
    "a text where an object should be": ["a", "", "", "", "", TEXT],
    "an object with a NUL": ["a", "", "", "", "", json.dumps({"a": "\0" + "x" * 9_000})],
    "an object with half a character": ["a", "", "", "", "", json.dumps({"a": "\ud83d" + "x" * 9_000})],
    "a list": ["a", "", "", "", "", "", "|".join(f"\U0001f600 {number}" for number in range(3_000))],
    "a list of nothing": ["a", "", "", "", "", "", "|" * 9_000],
    "a number": ["a", "", "", "", "", "", "", " " * 9_000 + "5"],
}
LONG_HEADER = ["name", "displayName", "odd", "emailAddress", "other", "attributes", "segments", "totalActions"]


@pytest.mark.parametrize("separator", [None, "|"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_ALL, csv.QUOTE_MINIMAL])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("cells", LONG_ROWS.values(), ids=LONG_ROWS)
def test_a_long_row_becomes_the_record_of_a_short_one(
    monkeypatch: pytest.MonkeyPatch, cells: list[str], end: str, quoting: Any, separator: str | None
) -> None:
    row = cells + [""] * (len(LONG_HEADER) - len(cells))
    page = written([LONG_HEADER, ["b", *[""] * 7], row, ["c", TEXT, *[""] * 6]], end=end, quoting=quoting)
    expected = rows_of(page, separator)
    assert len(expected) == 3
    monkeypatch.setattr(csv_pages, "_TABLE_CHARACTERS", 1_000)
    taken_out: list[bool] = []

    def take_out(cells: LongCells, text: str, *, is_quoted: bool) -> tuple[str, str]:
        taken_out.append(is_quoted)
        return original(cells, text, is_quoted=is_quoted)

    original = LongCells.take_out
    monkeypatch.setattr(LongCells, "take_out", take_out)
    for size in (7, 64, 1_001, 4_096):
        assert rows_of(page, separator, size) == expected
        assert [row for piece in cut(page) for row in rows_of(piece, separator)] == expected
    assert taken_out


def rows_of(page: bytes, separator: str | None, size: int = 10**6) -> list[dict[str, Any]]:
    decoder = CsvPageDecoder(
        CsvPages("users", USERS, separator),
        RecordMapper(USERS, tap_columns=TAP_COLUMNS, to_vendor_name=camel_case),
        {"dataset_id": "d"},
        [*USERS["properties"]],
    )
    with Spool([page]) as spool, pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_pages, "open_decompressed", lambda spool: spool.chunks(size))
        return Output(USERS["properties"]).rows(decoder.decode(spool))


@pytest.mark.parametrize("end", ['"', '"x,\n', "", '"\r', '"\rx\n', '"\r\r\n'])
@pytest.mark.parametrize("size", [1, 50, 4_096])
def test_a_long_cell_that_ends_oddly_is_refused_as_a_short_one(
    monkeypatch: pytest.MonkeyPatch, end: str, size: int
) -> None:
    page = ('name,x\na,"canary' + "x\n" * 5_000 + end).encode()

    def outcome() -> object:
        try:
            return rows_of(page, None, size)
        except UnusableAnswer as error:
            return str(error)

    expected = outcome()
    monkeypatch.setattr(csv_pages, "_TABLE_CHARACTERS", 1_000)
    assert outcome() == expected
    assert "canary" not in str(expected) or end in {'"', '"\r', '"\r\r\n'}
