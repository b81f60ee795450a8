"""The archive: proven to its last checksum before the first user, read whatever its members are called."""

from __future__ import annotations

import gzip
import json
import zipfile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_cdp_export.errors import IncompleteAnswer, UnusableAnswer
from tap_cdp_export.files import compression
from tap_cdp_export.files.compression import drain
from tap_cdp_export.files.spool import Spool
from tap_cdp_export.vendors.braze.archive import line_blocks_of, naming_bad_lines, unpacked, users_of, verify
from tap_cdp_export.vendors.braze.user_decoder import UserDecoder
from tests.helpers.archives import gzipped, zipped
from tests.helpers.json_documents import OBJECTS

NAMES = st.sampled_from(["a.txt", "b.json", "c", "deep/er/d.txt", "../../etc/passwd", "/abs.txt", "e.csv", "ü.txt"])


def line(braze_id: str, **fields: Any) -> bytes:
    return json.dumps({"braze_id": braze_id, **fields}, ensure_ascii=False).encode()


def users(spool: Spool) -> list[dict[str, Any]]:
    with naming_bad_lines(spool):
        return [user for block in line_blocks_of(spool) for user in users_of(block)]


def read(archive: bytes) -> list[dict[str, Any]]:
    """Prove, then read, as the stream does."""
    with unpacked(Spool([archive])) as spool:
        verify(spool)
        return users(spool)


def ids(archive: bytes) -> list[str]:
    return [user["braze_id"] for user in read(archive)]


def refusal(archive: bytes) -> UnusableAnswer:
    with pytest.raises(UnusableAnswer) as failure:
        read(archive)
    assert failure.value.exit_code == 12
    return failure.value


# Whole archives


@given(members=st.dictionaries(NAMES, st.lists(st.tuples(st.text("abc", min_size=1), OBJECTS), max_size=3), max_size=4))
def test_every_line_of_every_member_is_read_in_order_whatever_the_names(
    members: dict[str, list[tuple[str, dict[str, Any]]]],
) -> None:
    texts = {name: b"\n".join(line(key, fields=fields) for key, fields in rows) for name, rows in members.items()}
    expected = [{"braze_id": key, "fields": fields} for rows in members.values() for key, fields in rows]
    assert read(zipped(texts)) == expected
    assert read(zipped(texts, compression=zipfile.ZIP_STORED)) == expected
    assert read(gzipped(b"", *(text + b"\n" for text in texts.values()))) == expected


def test_folders_empty_members_and_blank_lines_are_no_users() -> None:
    members = {"folder/": b"", "empty.txt": b"", "a.txt": b"\n\n" + line("a") + b"\r\n \n", "b.txt": line("b")}
    assert ids(zipped(members)) == ["a", "b"]


def test_a_byte_order_mark_before_a_line_is_skipped_and_is_no_user_itself() -> None:
    bom = b"\xef\xbb\xbf"
    texts = (bom + line("a"), bom + line("b"), line("c"))
    members = {"a.txt": b"\n".join(texts), "b.txt": bom, "c.txt": bom + b"\n"}
    assert ids(zipped(members)) == ["a", "b", "c"]
    assert ids(gzipped(members["a.txt"])) == ["a", "b", "c"]
    decoder = UserDecoder("s", ["braze_id"])
    with Spool([zipped(members)]) as spool:
        assert sum(decoder.decode(block).number for block in line_blocks_of(spool)) == 3


@given(members=st.dictionaries(NAMES, st.text("abc", min_size=1), max_size=3), cut=st.integers(1, 40))
def test_a_zip_or_gzip_that_was_sent_as_gzip_is_read_and_a_cut_one_refused(members: dict[str, str], cut: int) -> None:
    texts = {name: line(key) + b"\n" for name, key in members.items()}
    for archive in (zipped(texts), gzipped(*texts.values(), b"")):
        sent = gzip.compress(archive, mtime=0)
        assert ids(sent) == list(members.values())
        with pytest.raises(IncompleteAnswer):
            read(sent[: -min(cut, len(sent) - 2)])


def test_numbers_and_offsets_for_times_are_read() -> None:
    times = [1_709_287_200, 1_709_287_200_000, "2024-03-01T11:00:00.000+01:00", "2024-03-01 10:00:00 +0000"]
    block = b"\n".join(line("a", created_at=time, push_opted_in_at=time) for time in times)
    batch = UserDecoder("s", ["created_at", "push_opted_in_at", "extra"]).decode(block)
    assert {*batch.columns["created_at"], *batch.columns["push_opted_in_at"]} == {"2024-03-01T10:00:00.000Z"}
    assert {*batch.columns["extra"]} == {None}


def test_an_empty_archive_is_an_empty_segment() -> None:
    assert read(zipped({})) == []
    assert read(gzipped(b"")) == []


def test_other_line_ends_of_unicode_stay_inside_a_line() -> None:
    name = "a\u2028b\u2029c\x85d"
    assert read(zipped({"a": line("a", first_name=name) + b"\n" + line("b")}))[0]["first_name"] == name


def test_a_user_that_appears_twice_is_given_twice_in_order() -> None:
    assert ids(zipped({"a": line("x") + b"\n" + line("y"), "b": line("x")})) == ["x", "y", "x"]


def test_an_integer_of_any_size_and_a_nul_are_read() -> None:
    archive = zipped(
        {"a": b'{"braze_id":"a","random_bucket":0,"custom_attributes":{"n":18446744073709551617,"t":"\\u0000"}}'}
    )
    assert read(archive) == [
        {"braze_id": "a", "random_bucket": 0, "custom_attributes": {"n": 18446744073709551617, "t": "\ufffd"}}
    ]


# Archives that are not whole

TWO_MEMBERS = {"a.txt": b"\n".join(line(str(n)) for n in range(50)), "b.txt": line("last")}


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_a_zip_cut_at_any_byte_does_not_prove_and_is_worth_another_try(compression: int) -> None:
    whole = zipped(TWO_MEMBERS, compression=compression)
    for end in range(4, len(whole)):
        with Spool([whole[:end]]) as spool, pytest.raises(IncompleteAnswer):
            verify(spool)


def test_a_gzip_cut_at_any_byte_does_not_prove() -> None:
    whole = gzipped(TWO_MEMBERS["a.txt"])
    for end in range(len(whole)):
        with Spool([whole[:end]]) as spool, pytest.raises(UnusableAnswer):
            verify(spool)


PACKINGS = st.sampled_from([zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
TRUTH = [*map(str, range(50)), "last"]


@given(compression=PACKINGS, data=st.data())
@settings(max_examples=200)
def test_a_damaged_byte_of_a_member_is_found_before_the_first_user_or_does_no_harm(
    compression: int, data: st.DataObject
) -> None:
    whole = bytearray(zipped(TWO_MEMBERS, compression=compression))
    whole[data.draw(st.integers(0, whole.index(b"PK\x01\x02") - 1))] ^= data.draw(st.integers(1, 255))
    given_users = []
    try:
        with Spool([bytes(whole)]) as spool:
            verify(spool)
            given_users = [user["braze_id"] for user in users(spool)]
    except UnusableAnswer:
        assert given_users == []
    else:
        assert given_users == TRUTH


@given(compression=PACKINGS, data=st.data())
@settings(max_examples=400)
def test_a_damaged_directory_of_an_archive_never_crashes(compression: int, data: st.DataObject) -> None:
    whole = bytearray(zipped(TWO_MEMBERS, compression=compression))
    start = whole.index(b"PK\x01\x02")
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(start, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        with Spool([bytes(whole)]) as spool:
            verify(spool)
            given_users = [user["braze_id"] for user in users(spool)]
    except UnusableAnswer:
        return
    assert set(given_users) <= set(TRUTH)


def test_a_wrong_checksum_of_a_member_is_damage() -> None:
    whole = bytearray(zipped(TWO_MEMBERS, compression=zipfile.ZIP_STORED))
    whole[whole.index(b"last")] ^= 1
    with Spool([bytes(whole)]) as spool, pytest.raises(IncompleteAnswer):
        verify(spool)


@pytest.mark.parametrize(
    "archive",
    [
        b"",
        b"<html>canary</html>",
        b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
        b'{"message":"canary"}',
        line("a") + b"\n",
        b"canary",
        b"PK",
        b"\x1f",
        b"PK\x03\x04 canary",
    ],
)
def test_what_is_no_archive_is_refused_without_being_quoted(archive: bytes) -> None:
    assert "canary" not in str(refusal(archive))


def test_an_encrypted_member_is_refused() -> None:
    whole = bytearray(zipped({"a.txt": line("a")}, compression=zipfile.ZIP_STORED))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        whole[whole.index(mark) + offset] |= 1
    assert "encrypted" in str(refusal(bytes(whole)))


def test_an_unknown_way_of_packing_is_refused() -> None:
    whole = bytearray(zipped({"a.txt": line("a")}, compression=zipfile.ZIP_STORED))
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        whole[whole.index(mark) + offset] = 99
    assert "not documented" in str(refusal(bytes(whole)))


@pytest.mark.parametrize("pack", [lambda data: zipped({"a": data}), gzip.compress], ids=["zip", "gzip"])
def test_a_bomb_is_refused(monkeypatch: pytest.MonkeyPatch, pack: Any) -> None:
    monkeypatch.setattr(compression, "_HARMLESS_BYTES", 2**20)
    assert "times its size" in str(refusal(pack(b"\n" * 10_000_000)))


# Lines


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b'{"canary": 1',
        b"canary",
        b"[]",
        b'"canary"',
        b"null",
        b"{}",
        b'{"external_id": "canary"}',
        b'{"braze_id": null, "x": "canary"}',
        b'{"braze_id": 5}',
        b'{"braze_id": ""}',
        b'{"braze_id": "a"} {"braze_id": "b"}',
        b'{"braze_id": "canary\xff"}',
        b'{"braze_id": "a", "x": nan}',
        b'{"braze_id": "a", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=range(15),
)
def test_a_bad_line_is_named_by_file_and_line_and_not_quoted(bad: bytes) -> None:
    archive = zipped({"a.txt": line("a"), "b.txt": line("b") + b"\n\n" + bad + b"\n" + line("c")})
    text = str(refusal(archive))
    assert "canary" not in text
    assert "line 3" in text
    assert text.startswith("The archive, file b.txt, line 3: ")
    assert refusal_of_the_decoder(archive) == text


@pytest.mark.parametrize("pack", [lambda data: zipped({"x\n.txt": data}), gzip.compress], ids=["zip", "gzip"])
@pytest.mark.parametrize(("name", "begin"), [("", "The archive"), ("segment-export/s/a.gz", "The object segment-")])
@pytest.mark.parametrize(("bad", "end"), [(b"{}", "line 2: has no braze_id."), (b"x" * 5_001, "line 2 is longer than")])
def test_a_bad_line_is_named_with_its_file_in_every_packing(  # noqa: PLR0913, PLR0917 -- three dimensions
    monkeypatch: pytest.MonkeyPatch, pack: Any, name: str, begin: str, bad: bytes, end: str
) -> None:
    monkeypatch.setattr("tap_cdp_export.vendors.braze.archive.MEMBER_BYTES", 5_000)
    text = refusal_of_the_decoder(pack(line("a") + b"\n" + bad + b"\n"), name)
    assert text.startswith(begin)
    assert name in text
    assert end in text
    assert (r", file x\n.txt, " in text) == (pack is not gzip.compress)


def refusal_of_the_decoder(archive: bytes, name: str = "") -> str:
    decoder = UserDecoder("s", ["braze_id"])
    with Spool([archive]) as spool:
        spool.name = name
        verify(spool)
        with pytest.raises(UnusableAnswer) as failure, naming_bad_lines(spool):
            drain(map(decoder.decode, line_blocks_of(spool)))
    return str(failure.value)
