"""Members of a zip archive are read as by the standard library, and any damage is detected."""

from __future__ import annotations

import io
import signal
import zipfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_cdp_export.errors import IncompleteAnswer, Interrupted, UnusableAnswer
from tap_cdp_export.files import zip_archive
from tap_cdp_export.files.side_files import is_side_file
from tap_cdp_export.signals import STOP

NAMES = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda name: not is_side_file(name)
)
FILES = st.dictionaries(NAMES, st.binary(max_size=2_000), max_size=4)
METHODS = st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
COMMENTS = st.binary(max_size=30).filter(lambda comment: b"PK\x05\x06" not in comment)
"""A comment with the signature of the end record makes an archive ambiguous."""


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, **options: Any) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method, **options) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def members(data: bytes) -> list[bytes]:
    return [b"".join(member) for member in zip_archive.members(io.BytesIO(data))]


@given(files=FILES, method=METHODS, comment=COMMENTS)
def test_every_file_is_read_in_order(files: dict[str, bytes], method: int, comment: bytes) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.comment = comment
        for name, content in files.items():
            archive.writestr(name, content)
    assert members(file.getvalue()) == list(files.values())
    zip_archive.verify(file)


def padded(data: bytes, size: int, filling: bytes) -> bytes:
    """Put bytes before each member of an archive, and move the offsets in its directory."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            out.write(filling * size)
            new.start_dir = out.tell()
            new.writestr(entry.filename, old.read(entry), entry.compress_type)
    return out.getvalue()


@pytest.mark.parametrize("size", [1, 24, 25, 4_096, 60_000])
def test_zeros_between_members_are_padding_and_anything_else_is_damage(size: int) -> None:
    archive = zipped({"a": b"a" * 100, "b": b"b" * 100})
    assert members(padded(archive, size, b"\0")) == [b"a" * 100, b"b" * 100]
    if size > 24:
        with pytest.raises(IncompleteAnswer):
            members(padded(archive, size, b"x"))
        with pytest.raises(IncompleteAnswer):
            members(padded(archive, 70_000, b"\0"))


@pytest.mark.parametrize("mark", [b"PK\x07\x08", b"PK00"])
@given(files=FILES.filter(bool))
def test_an_archive_that_could_have_been_split_is_read(mark: bytes, files: dict[str, bytes]) -> None:
    archive = mark + zipped(files)
    assert archive.startswith(zip_archive.SIGNATURES)
    assert members(archive) == list(files.values())


def test_files_that_archivers_leave_beside_the_data_are_passed_over() -> None:
    files = {"__MACOSX/._a.txt": b"x", "a.txt": b"a", ".DS_Store": b"x", "b/_SUCCESS": b"", "b/._c": b"x", "_d": b"d"}
    assert members(zipped(files)) == [b"a", b"d"]


def test_damage_in_any_file_is_found_when_files_are_verified_in_parallel() -> None:
    contents = [b"%d" % number * 100_000 for number in range(8)]
    archive = zipped({f"file {number}": content for number, content in enumerate(contents)}, zipfile.ZIP_STORED)
    for content in contents:
        damaged = bytearray(archive)
        damaged[archive.index(content) + 1] ^= 1
        with pytest.raises(IncompleteAnswer):
            zip_archive.verify(io.BytesIO(bytes(damaged)))


def test_a_signal_ends_the_verification_between_two_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(STOP, "_signal_number", signal.SIGTERM)
    with pytest.raises(Interrupted):
        zip_archive.verify(io.BytesIO(zipped({"a": b"1", "b": b"2"})))


def test_a_streamed_archive_with_data_descriptors_is_read() -> None:
    class Stream(io.RawIOBase):
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.data += bytes(data)
            return len(bytes(data))

    stream = Stream()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a", "b"):
            with archive.open(name, "w", force_zip64=name == "b") as member:
                member.write(name.encode() * 100_000)
    assert members(bytes(stream.data)) == [b"a" * 100_000, b"b" * 100_000]


def test_folders_are_left_out() -> None:
    assert members(zipped({"folder/": b"", "folder/a": b"1", "empty": b""})) == [b"1", b""]


def test_an_empty_zip_has_no_members() -> None:
    assert members(zipped({})) == []


@given(files=st.dictionaries(NAMES, st.binary(min_size=1, max_size=300), min_size=1, max_size=3), data=st.data())
def test_a_zip_truncated_at_any_byte_is_an_error(files: dict[str, bytes], data: st.DataObject) -> None:
    archive = zipped(files)
    size = data.draw(st.integers(0, len(archive) - 1))
    with pytest.raises(IncompleteAnswer):
        members(archive[:size])


def test_no_single_damaged_byte_hides_or_changes_anything() -> None:
    files = {"a": b"first " * 20, "b": b"second " * 20, "c": b"third " * 20}
    archive = zipped(files)
    for position in range(len(archive)):
        for change in (0x01, 0x80, 0xFF):
            damaged = bytearray(archive)
            damaged[position] ^= change
            try:
                contents = members(bytes(damaged))
            except UnusableAnswer:
                continue
            assert contents == list(files.values()), f"byte {position}"


def test_bytes_before_or_between_the_members_are_an_error() -> None:
    with pytest.raises(IncompleteAnswer):
        members(b"x" * 100 + zipped({"a": b"1"}))


def test_an_encrypted_member_is_an_error_that_says_so() -> None:
    archive = bytearray(zipped({"a": b"1"}))
    archive[6] |= 1
    with pytest.raises(UnusableAnswer, match="encrypted"):
        members(bytes(archive))


def test_another_compression_method_is_an_error_that_says_so() -> None:
    with pytest.raises(UnusableAnswer, match="not documented"):
        members(zipped({"a": b"1" * 100}, zipfile.ZIP_LZMA))


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tap_cdp_export.files.compression._HARMLESS_BYTES", 1_000)
    with pytest.raises(UnusableAnswer, match="times its size"):
        members(zipped({"a": b"\0" * 10_000_000}))


def test_a_bomb_in_many_members_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tap_cdp_export.files.compression._HARMLESS_BYTES", 2_000_000)
    one = zipped({"a": b"\n" * 1_900_000})
    assert len(members(one)) == 1
    with pytest.raises(UnusableAnswer, match="times its size"):
        next(zip_archive.members(io.BytesIO(zipped({str(number): b"\n" * 1_900_000 for number in range(10)}))))


def test_a_bomb_with_a_harmless_size_in_its_directory_ends_at_that_size() -> None:
    archive = bytearray(zipped({"a": b"\0" * 50_000_000}))
    directory = archive.index(b"PK\x01\x02")
    for offset in (22, directory + 24):
        archive[offset : offset + 4] = (1_000).to_bytes(4, "little")
    (member,) = zip_archive.members(io.BytesIO(bytes(archive)))
    with pytest.raises(IncompleteAnswer):
        next(member)


def test_a_huge_directory_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    archive = zipped({str(number): b"" for number in range(100)})
    assert len(members(archive)) == 100
    monkeypatch.setattr(zip_archive, "_LARGEST_DIRECTORY", 4_000)
    with pytest.raises(UnusableAnswer, match="directory"):
        members(archive)
