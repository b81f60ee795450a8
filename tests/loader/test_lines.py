"""Lines of bytes from a pipe, in pieces of any size."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from tap_cdp_export.loader import lines
from tap_cdp_export.loader.errors import UnusableInput
from tap_cdp_export.loader.lines import head_of, read_lines

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path, content: bytes) -> list[bytes]:
    """Read a file."""
    path = folder / "input"
    path.write_bytes(content)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return list(read_lines(descriptor))
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1000])
def test_lines_do_not_depend_on_the_pieces_they_come_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(lines, "_CHUNK", chunk)
    assert read(tmp_path, b'{}\n\n{"a": "b\rc\x0c\xc2\x85"}\r\n[1]\n5') == [
        b"{}\n",
        b"\n",
        b'{"a": "b\rc\x0c\xc2\x85"}\r\n',
        b"[1]\n",
        b"5\n",
    ]
    assert read(tmp_path, b"") == []


def test_an_input_that_ends_within_a_line_is_an_error_after_the_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(b'{}\n{"type": "REC')
    descriptor = os.open(path, os.O_RDONLY)
    reader = read_lines(descriptor)
    assert next(reader) == b"{}\n"
    with pytest.raises(UnusableInput, match="The input ends within a line"):
        next(reader)
    os.close(descriptor)


@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_line_that_is_too_long_is_an_error_before_it_fills_the_memory(
    monkeypatch: pytest.MonkeyPatch, end: bytes
) -> None:
    monkeypatch.setattr(lines, "LARGEST_LINE", 100_000)
    reading, writing = os.pipe()
    content = b"{}\n" + b"x" * 120_000 + end
    thread = threading.Thread(target=os.write, args=(writing, content))
    thread.start()
    found = []
    with pytest.raises(UnusableInput, match="Line 2 of the input is longer than 0 MB"):
        found += list(read_lines(reading))
    os.close(reading)
    thread.join()
    os.close(writing)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"oops\n", "Line 7 of the input is not JSON."),
        (b'{"type":"STATE","value":{}\n', "Line 7 of the input is not JSON."),
        (b'{"type":"STATE"} x\n', "Line 7 of the input is not JSON."),
        (b"[1]\n", "Line 7 of the input is not a Singer message."),
        (b'{"stream": "t"}\n', "Line 7 of the input is not a Singer message."),
        (b'{"type": 5}\n', "Line 7 of the input is not a Singer message."),
        (b"[" * 100_000 + b"\n", "Line 7 of the input is not JSON."),
    ],
)
def test_a_line_that_is_no_message_is_named_by_its_number(line: bytes, reason: str) -> None:
    with pytest.raises(UnusableInput) as caught:
        head_of(line, 7)
    assert str(caught.value) == reason
