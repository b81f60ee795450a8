"""Lower bounds of this machine for the same bytes: decode and encode them, and copy them to a pipe.

Timed inside the process with bodies in memory; excludes HTTP, decompression, start-up, and everything a tap does.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tests.benchmarks.data import Part

if TYPE_CHECKING:
    from collections.abc import Iterator

_TRIES: Final = 3
_CHUNK_BYTES: Final = 256 * 1024
_PIPE_BYTES: Final = 2**20  # more than any pipe buffers, so the reader has started
_PROFILE: Final = re.compile(rb',(?="[0-9a-f-]{36}":\{"sections":)')
_DRAIN: Final = "import os\nbuffer = bytearray(2**20)\nwhile os.readv(0, [buffer]):\n    pass\n"


def _chunks(part: Part) -> list[bytes]:
    """Return the part's records as JSON arrays or objects of about 256 KiB, which fit the processor's cache."""
    if part.kind == "users":
        return [file.read_bytes() for file in part.files()]
    (path,) = part.files()
    if part.kind == "braze":
        with zipfile.ZipFile(path) as archive:
            lines = [line for name in archive.namelist() for line in archive.read(name).splitlines()]
        return [b"[" + b",".join(group) + b"]" for group in _groups(lines)]
    text = gzip.decompress(path.read_bytes())[len(b'{"profiles":{') : -2]
    return [b"{" + b",".join(group) + b"}" for group in _groups(_PROFILE.split(text))]


def _groups(items: list[bytes]) -> Iterator[list[bytes]]:
    group: list[bytes] = []
    size = 0
    for item in items:
        group.append(item)
        size += len(item)
        if size >= _CHUNK_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _seconds_to_decode_and_encode(chunks: list[bytes]) -> float:
    start = time.perf_counter()
    decoder, encoder = msgspec.json.Decoder(), msgspec.json.Encoder()
    for chunk in chunks:
        records: Any = decoder.decode(chunk)
        encoder.encode_lines(records if isinstance(records, list) else records.items())
    return time.perf_counter() - start


def _write(file: int, data: bytes) -> None:
    with memoryview(data) as view:
        done = 0
        while done < len(view):
            done += os.write(file, view[done:])


def _seconds_to_copy(chunks: list[bytes]) -> float:
    """Time the writes into a pipe whose reader has already started."""
    with subprocess.Popen([sys.executable, "-c", _DRAIN], stdin=subprocess.PIPE) as reader:
        if reader.stdin is None:
            return 0.0
        file = reader.stdin.fileno()
        _write(file, bytes(_PIPE_BYTES))
        start = time.perf_counter()
        for chunk in chunks:
            _write(file, chunk)
        return time.perf_counter() - start


def limits_of(part: Part) -> dict[str, float]:
    """Measure in a separate process.

    Args:
        part: already generated; not the CSV.

    Returns:
        Seconds by operation.
    """
    command = [sys.executable, "-m", "tests.benchmarks.limits", json.dumps(part.__dict__)]
    seconds: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return seconds


def main(part_json: str) -> None:
    """Measure, and print JSON.

    Args:
        part_json: the part, as JSON.
    """
    chunks = _chunks(Part(**json.loads(part_json)))
    seconds = {
        "decode and encode": min(_seconds_to_decode_and_encode(chunks) for _ in range(_TRIES)),
        "copy to a pipe": min(_seconds_to_copy(chunks) for _ in range(_TRIES)),
    }
    sys.stdout.write(json.dumps(seconds))


if __name__ == "__main__":
    main(sys.argv[1])
