"""What this machine could do at best with the same bytes: decode and encode them, and copy them to a pipe.

Timed inside the process, bodies in memory, without HTTP, inflating, start-up, or any rule of a tap.
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
_PIECE: Final = 256 * 1024
_PIPE_HOLDS: Final = 2**20  # more than any pipe does, so its reader has begun to read
_PROFILE: Final = re.compile(rb',(?="[0-9a-f-]{36}":\{"sections":)')
_DRAIN: Final = "import os\nbuffer = bytearray(2**20)\nwhile os.readv(0, [buffer]):\n    pass\n"


def _runs(part: Part) -> list[bytes]:
    """Give the part's records in JSON arrays, or objects, of some 256 KiB: small enough for a processor's cache."""
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
        if size >= _PIECE:
            yield group
            group, size = [], 0
    if group:
        yield group


def _seconds_to_decode_and_encode(runs: list[bytes]) -> float:
    began = time.perf_counter()
    decoder, encoder = msgspec.json.Decoder(), msgspec.json.Encoder()
    for run in runs:
        found: Any = decoder.decode(run)
        encoder.encode_lines(found if isinstance(found, list) else found.items())
    return time.perf_counter() - began


def _write(file: int, data: bytes) -> None:
    with memoryview(data) as view:
        done = 0
        while done < len(view):
            done += os.write(file, view[done:])


def _seconds_to_copy(runs: list[bytes]) -> float:
    """Time the writes into a pipe whose reader is at work already."""
    with subprocess.Popen([sys.executable, "-c", _DRAIN], stdin=subprocess.PIPE) as reader:
        if reader.stdin is None:
            return 0.0
        file = reader.stdin.fileno()
        _write(file, bytes(_PIPE_HOLDS))
        began = time.perf_counter()
        for run in runs:
            _write(file, run)
        return time.perf_counter() - began


def limits_of(part: Part) -> dict[str, float]:
    """Measure in a process of its own.

    Args:
        part: made already; not the CSV.

    Returns:
        Seconds by what was done.
    """
    command = [sys.executable, "-m", "tests.benchmarks.limits", json.dumps(part.__dict__)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def main(told: str) -> None:
    """Measure, and print JSON.

    Args:
        told: the part, as JSON.
    """
    runs = _runs(Part(**json.loads(told)))
    found = {
        "decode and encode": min(_seconds_to_decode_and_encode(runs) for _ in range(_TRIES)),
        "copy to a pipe": min(_seconds_to_copy(runs) for _ in range(_TRIES)),
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
