"""Measures what one long record takes: peak memory beyond that of a small record, and processor time.

A small server sends one record of the wanted size, in every shape that a vendor's export can have. The tap is the
real command; its output is read and discarded.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tests.faults.memory import serving

if TYPE_CHECKING:
    from collections.abc import Callable

    Record = Callable[[int], bytes]

_SIZE: Final = 20_000_000
_SMALL: Final = 1_000
_SAMPLE_SECONDS: Final = 0.005
_NOISE_SECONDS: Final = 0.5
MOST_TIMES: Final = 4.0
_SEGMENT: Final = "0d5a7c1e-3f42-4b8a-9c60-5e1f2a3b4c5d"
_TIMES: Final = {"start_date": "2026-09-01T00:00:00Z", "end_date": "2026-11-10T12:00:00Z"}
_SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "json": {"account_name": "a", "api_key_id": "i", "api_key_secret": "secret", "dataset_ids": ["d"], "page_size": 0},
    "apsis": {"client_id": "i", "client_secret": "secret", "attributes": [{"version_id": "1"}],
              "events": [{"version_id": "2"}], "window_days": 80},
    "braze": {"api_key": "secret", "segment_ids": [_SEGMENT]},
}  # fmt: skip
_SETTINGS["csv"] = {**_SETTINGS["json"], "format": "csv", "csv_list_separator": "|"}


class Measurement(NamedTuple):
    """What a run took.

    Attributes:
        code: exit code.
        size: of the record in bytes, before compression.
        peak: largest resident set in bytes; a long record is decoded in the main process.
        processor_seconds: of the process and its children.
    """

    code: int
    size: int
    peak: int
    processor_seconds: float


def _many(size: int, form: str, separator: str = ",") -> str:
    """Repeat a form, `%d` in it being a number of its own, until it has the size."""
    return separator.join(form % number for number in range(max(1, size // (len(form % 100_000) + len(separator)))))


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _user(fields: str) -> bytes:
    return f'[{{"name":"u",{fields}}}]'.encode()


def _row(name: str, cell: str) -> bytes:
    return f"name,{name}\nu,{cell}\n".encode()


def _wide_row(number: int, cell: str) -> bytes:
    header = ",".join(f"c{place}" for place in range(number))
    return f"name,{header}\nu,{','.join([cell] * number)}\n".encode()


def _profile(section: str) -> bytes:
    return f'{{"profiles":{{"p":{{"sections":{{"1187":{{{section}}}}}}}}}}}'.encode()


def _line(fields: str) -> bytes:
    return gzip.compress(f'{{"braze_id":"b",{fields}}}\n'.encode(), 1)


_EMOJI: Final = "\N{GRINNING FACE}"
_EVENT: Final = '{"typeId":"7","createdAt":1%012d,"data":{"url":"https://example.com/a/long/path/to/some/page.html"}}'
_OBJECT: Final = '"attribute %d":"a value of it"'
SHAPES: Final[dict[str, tuple[str, Record]]] = {
    "user, JSON: one text": ("json", lambda size: _user(f'"displayName":"{"x" * size}"')),
    "user, JSON: a text with emoji": ("json", lambda size: _user(f'"displayName":"{_EMOJI}{"x" * size}"')),
    "user, JSON: a text of no known field": ("json", lambda size: _user(f'"odd":"{_EMOJI}{"x" * size}"')),
    "user, JSON: many attributes": ("json", lambda size: _user(f'"attributes":{{{_many(size, _OBJECT)}}}')),
    "user, JSON: many segments": ("json", lambda size: _user(f'"segments":[{_many(size, chr(34) + "S%d" + chr(34))}]')),
    "user, CSV: one cell": ("csv", lambda size: _row("displayName", "x" * size)),
    "user, CSV: a cell of no known column": ("csv", lambda size: _row("odd", "x" * size)),
    "user, CSV: a cell with emoji": ("csv", lambda size: _row("displayName", _EMOJI + "x" * size)),
    "user, CSV: a cell of many lines": ("csv", lambda size: _row("displayName", _quoted(_many(size, "line %d", "\n")))),
    "user, CSV: quotes in a cell": ("csv", lambda size: _row("displayName", _quoted(_many(size, 'say "%d"', " ")))),
    "user, CSV: many attributes": ("csv", lambda size: _row("attributes", _quoted(f"{{{_many(size, _OBJECT)}}}"))),
    "user, CSV: attributes with emoji": (
        "csv",
        lambda size: _row("attributes", _quoted(f'{{"e":"{_EMOJI}",{_many(size, _OBJECT)}}}')),
    ),
    "user, CSV: attributes over many lines": (
        "csv",
        lambda size: _row("attributes", _quoted(f"{{{_many(size, _OBJECT, chr(44) + chr(10))}}}")),
    ),
    "user, CSV: many segments": ("csv", lambda size: _row("segments", _many(size, "Segment %d", "|"))),
    "user, CSV: 200 cells with emoji": ("csv", lambda size: _wide_row(200, _EMOJI + "x" * (size // 200))),
    "user, CSV: the identifier": ("csv", lambda size: f"name\n{'x' * size}\n".encode()),
    "profile: many attributes": (
        "apsis",
        lambda size: _profile(f'"attributes":{{{_many(size, chr(34) + "%d" + chr(34) + _VALUE)}}}'),
    ),
    "profile: many tags": (
        "apsis",
        lambda size: _profile(f'"attributes":{{{_many(size, chr(34) + "%d" + chr(34) + ":{" + _NULL + "}")}}}'),
    ),
    "profile: one text": ("apsis", lambda size: _profile(f'"attributes":{{"1":{{"value":"{"x" * size}"}}}}')),
    "profile: a text with emoji": (
        "apsis",
        lambda size: _profile(f'"attributes":{{"1":{{"value":"{_EMOJI}{"x" * size}"}}}}'),
    ),
    "profile: many events": ("apsis", lambda size: _profile(f'"events":[{_many(size, _EVENT)}]')),
    "profile: many attributes, many events": (
        "apsis",
        lambda size: _profile(
            f'"attributes":{{{_many(size // 2, chr(34) + "%d" + chr(34) + _VALUE)}}},'
            f'"events":[{_many(size // 2, _EVENT)}]'
        ),
    ),
    "Braze user: one text": ("braze", lambda size: _line(f'"first_name":"{"x" * size}"')),
    "Braze user: a text with emoji": ("braze", lambda size: _line(f'"first_name":"{_EMOJI}{"x" * size}"')),
    "Braze user: many attributes": ("braze", lambda size: _line(f'"custom_attributes":{{{_many(size, _OBJECT)}}}')),
}
_VALUE: Final = ':{"value":"some text of an attribute"}'
_NULL: Final = '"value":null'


def measure(shape: str, size: int) -> Measurement:
    """Run the command on one record.

    Args:
        shape: one of `SHAPES`.
        size: of the record in bytes, about.

    Returns:
        What it took.
    """
    kind, record = SHAPES[shape]
    vendor = "personalization" if kind in {"json", "csv"} else kind
    with tempfile.TemporaryDirectory() as folder:
        export, config = Path(folder, "export"), Path(folder, "config.json")
        export_size = export.write_bytes(record(size))
        with serving(export) as url:
            config.write_text(json.dumps({**_TIMES, vendor: {**_SETTINGS[kind], "base_url": url}}))
            command = [sys.executable, "-m", "tap_cdp_export", "--config", str(config)]
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "TMPDIR": folder}
            )
            drained = threading.Thread(target=_drain, args=(process,))
            drained.start()
            peak = 0
            while drained.is_alive():
                peak = max(peak, _peak(process.pid))
                drained.join(_SAMPLE_SECONDS)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
    return Measurement(process.returncode, max(size, export_size), peak, usage.ru_utime + usage.ru_stime)


def _drain(process: subprocess.Popen[bytes]) -> None:
    if process.stdout:
        while process.stdout.read(2**20):
            pass
        process.stdout.close()


def _peak(process: int) -> int:
    """Read the largest resident set so far; that of `wait4` would begin with the size of the process that forked."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def measure_all(*, size: int = _SIZE, only: str = "") -> int:
    """Measure all shapes and print a table.

    Args:
        size: of the longer records, in bytes.
        only: what the names of the shapes begin with.

    Returns:
        Exit code: 1 if a record took too much memory, or twice its size three times as long.
    """
    sys.stdout.write("| record | memory / size | seconds | half the size |\n|---|---:|---:|---:|\n")
    worst = 0
    for shape in SHAPES:
        if not shape.startswith(only):
            continue
        small, half, whole = (measure(shape, each) for each in (_SMALL, size // 2, size))
        times = (whole.peak - small.peak) / whole.size
        seconds, half_seconds = (each.processor_seconds - small.processor_seconds for each in (whole, half))
        is_bad = times > MOST_TIMES or seconds > 3 * half_seconds + _NOISE_SECONDS or small.code or whole.code
        sys.stdout.write(
            f"| {shape} | {times:.1f} | {seconds:.2f} | {half_seconds:.2f} |"
            f"{f' **too much** {whole.code}' if is_bad else ''}\n"
        )
        sys.stdout.flush()
        worst = max(worst, int(is_bad))
    return worst


if __name__ == "__main__":
    sys.exit(measure_all(only="".join(sys.argv[1:])))
