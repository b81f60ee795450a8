"""A body is stored unchanged, and leaves no file behind."""

from __future__ import annotations

import tempfile
from typing import IO, TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_cdp_export.errors import IncompleteAnswer, LocalFailure
from tap_cdp_export.files.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGE = 9 * 2**20


@given(chunks=st.lists(st.binary(max_size=50)), size=st.integers(1, 40))
def test_a_body_is_read_back_unchanged_for_any_chunks(chunks: list[bytes], size: int) -> None:
    content = b"".join(chunks)
    with Spool(chunks) as spool:
        assert spool.size == len(content)
        read_chunks = list(spool.chunks(size))
        assert b"".join(read_chunks) == content
        assert all(0 < len(chunk) <= size for chunk in read_chunks)
        assert spool.head(3) == content[:3]
        assert b"".join(spool.chunks()) == content


def test_a_large_body_is_on_disk_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Spool([b"x" * 2**20] * 9) as spool:
        assert list(tmp_path.iterdir()) == []
        assert isinstance(spool.file.fileno(), int)
        assert sum(map(len, spool.chunks())) == LARGE


def test_an_error_of_the_producer_closes_the_file_and_is_raised() -> None:
    files: list[IO[bytes]] = []

    class RecordingSpool(Spool):
        def close(self) -> None:
            files.append(self.file)
            super().close()

    def broken() -> Iterator[bytes]:
        yield b"x" * LARGE
        raise IncompleteAnswer("cut")

    with pytest.raises(IncompleteAnswer):
        RecordingSpool(broken())
    assert [file.closed for file in files] == [True]


@pytest.mark.parametrize("size", [10, LARGE])
def test_a_full_disk_is_a_local_failure_that_names_the_folder(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", lambda **_options: open("/dev/full", "r+b"))  # noqa: PTH123, SIM115 -- the spool closes it
    monkeypatch.setattr(tempfile, "tempdir", "/the/folder")
    with pytest.raises(LocalFailure) as failure:
        Spool([b"x" * size])
    assert failure.value.exit_code == 16
    assert "/the/folder" in str(failure.value)
    assert "TMPDIR" in str(failure.value)


def test_a_missing_writable_folder_is_a_local_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc/nowhere"])
    with pytest.raises(LocalFailure, match="TMPDIR"):
        Spool([b"x" * LARGE])


def test_a_missing_folder_is_a_local_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(LocalFailure, match="gone"):
        Spool([b"x" * LARGE])
