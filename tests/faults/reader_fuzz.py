"""C6: any bytes at all end in records or in one of our errors; never in a crash, a hang, or all of the memory."""

from __future__ import annotations

import json
import mmap
import os
import random
import resource
import signal
import struct
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tap_cdp_export.apsis.export_file import PROFILES, decode_profiles, event_records, profile_records
from tap_cdp_export.braze import archive
from tap_cdp_export.braze.schemas import OWN as BRAZE_OWN
from tap_cdp_export.braze.schemas import USERS as BRAZE_USERS
from tap_cdp_export.errors import CdpExportError
from tap_cdp_export.exports.json_members import prove, runs
from tap_cdp_export.exports.readers import contents, proven
from tap_cdp_export.exports.spool import Spool
from tap_cdp_export.messages import Lines, encode
from tap_cdp_export.personalization import streams as personalization
from tap_cdp_export.personalization.csv_pages import CsvPages
from tap_cdp_export.personalization.schemas import OWN, USERS
from tap_cdp_export.records import RecordShape, camel_case, spelled_time
from tap_cdp_export.typed_runs import TypedRuns
from tests.faults import fuzzed_inputs as inputs
from tests.faults.cells import Cell, Outcome
from tests.faults.strict_lines import parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.nursery import Nursery

NAME: Final = "C6 reader fuzz"
_BATCH: Final = 500
_ROOM: Final = 200 * 2**20
_BATCH_SECONDS: Final = 60
_TIMES: Final = {"window_start": "2024-01-01T00:00:00.000Z", "window_end": "2024-01-02T00:00:00.000Z"}
_users: Final = RecordShape(USERS, own=OWN, spell=camel_case)
_braze: Final = RecordShape(BRAZE_USERS, own=BRAZE_OWN, time=spelled_time)


def _read_array(data: bytes) -> Iterator[bytes]:
    own = {"dataset_id": "d", **_TIMES}
    fast = TypedRuns(USERS, own=own, required="name", selected=lambda _column: True, spell=camel_case)
    with Spool([data]) as spool:
        for run in proven(spool, personalization._JsonPages(fast).runs):  # noqa: SLF001 -- the reader itself
            if isinstance(run, Lines):
                yield from run.data.splitlines()
            else:
                for fields in run:
                    yield encode(_users.record(fields, own))


def _read_csv(data: bytes) -> Iterator[bytes]:
    with Spool([data]) as spool:
        for fields in proven(spool, CsvPages("users", USERS, "|").objects):
            yield encode(_users.record(fields, {"dataset_id": "d", **_TIMES}))


def _read_export_file(data: bytes) -> Iterator[bytes]:
    with Spool([data]) as spool:
        prove(spool, PROFILES)
        for run in runs(contents(spool), PROFILES, decode_profiles, dict, is_proven=True):
            for key, profile in run.items():
                for record in profile_records(key, profile, _TIMES, {"1"}):
                    yield encode(record)
                for record in event_records(key, profile, _TIMES):
                    yield encode(record)


def _read_archive(data: bytes) -> Iterator[bytes]:
    with Spool([data]) as spool:
        archive.prove(spool)
        for user in archive.users(spool):
            yield encode(_braze.record(user, {"segment_id": "s"}))


def _made(number: int) -> tuple[Callable[[bytes], Iterator[bytes]], bytes]:
    """Make the nth input, and choose its reader."""
    chance = random.Random(number)  # noqa: S311 -- a seed, so that a finding can be made again
    kind = number % 6
    if kind == 0:
        return _read_array, inputs.mutated(chance, inputs.json_array(chance))
    if kind == 1:
        return _read_export_file, inputs.mutated(chance, inputs.export_file(chance))
    if kind == 2:
        packed = inputs.gzipped(chance, inputs.mutated(chance, inputs.lines(chance)))
        return _read_archive, inputs.mutated(chance, packed) if chance.random() < 0.3 else packed
    if kind == 3:
        packed = inputs.zipped(chance, inputs.mutated(chance, inputs.lines(chance)))
        return _read_archive, inputs.mutated(chance, packed) if chance.random() < 0.3 else packed
    if kind == 4:
        content = inputs.gzipped(chance, chance.choice((inputs.json_array, inputs.csv))(chance))
        return chance.choice((_read_array, _read_csv)), inputs.mutated(chance, content)
    return _read_csv, inputs.mutated(chance, inputs.csv(chance))


def _judge(number: int) -> str:
    """Give one input to its reader; say what is wrong, or nothing."""
    read, data = _made(number)
    try:
        records = list(read(data))
    except CdpExportError as error:
        shown = str(error)
        return "its message quotes the input" if "canary" in shown else ""
    except BaseException as error:  # noqa: BLE001 -- exactly what must not happen
        return f"{read.__name__} raised {type(error).__name__}"
    for record in records:
        try:
            parsed(record)
        except (ValueError, TypeError, RecursionError) as error:
            return f"{read.__name__} gave a record that is not strict JSON: {error}"
    if read is _read_array and not data.startswith(b"\x1f\x8b"):
        return _compared(data, len(records))
    return ""


def _compared(data: bytes, count: int) -> str:
    """Hold the reader against the standard library: what was accepted is an array of so many objects."""
    try:
        whole: Any = json.loads(data.decode("utf-8-sig", "surrogatepass"))
    except (ValueError, RecursionError):
        return "_read_array accepted what is no JSON"
    is_array = isinstance(whole, list) and all(isinstance(member, dict) for member in whole)
    return "" if is_array and len(whole) == count else "_read_array gave another number of records"


def _batch(first: int) -> list[str]:
    """Judge a batch in a child with limits; its death is charged to the input that it was reading."""
    with mmap.mmap(-1, 8) as current:
        ours, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(ours)
            _be_the_child(first, current, theirs)
        os.close(theirs)
        with os.fdopen(ours, "rb") as report:
            text = report.read()
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        found: list[str] = msgspec.json.decode(text) if text else []
        if code:
            (number,) = struct.unpack("q", current[:8])
            found.append(f"input {number}: {_made(number)[0].__name__} ended the process with {code}")
    return found


def _be_the_child(first: int, current: mmap.mmap, report: int) -> None:
    signal.alarm(_BATCH_SECONDS)
    with open("/proc/self/statm") as pages:  # noqa: PTH123 -- not a file of ours
        used = int(pages.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _ROOM, used + _ROOM))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    found = []
    for number in range(first, first + _BATCH):
        current[:8] = struct.pack("q", number)
        if problem := _judge(number):
            found.append(f"input {number}: {problem}")
    os.write(report, msgspec.json.encode(found[:50]))
    os._exit(0)


def _fuzzed(_nursery: Nursery, first: int, batches: int) -> Outcome:
    found = []
    for batch in range(batches):
        found += _batch(first + batch * _BATCH)
    return Outcome(found, inputs=batches * _BATCH)


def cells(*, full: bool) -> Iterator[Cell]:
    """100,000 inputs, or 4,000; FAULTS_SEED chooses others."""
    base = int(os.environ.get("FAULTS_SEED", "0")) * 10_000_000
    batches = 10 if full else 2
    for share in range(20 if full else 4):
        first = base + share * batches * _BATCH
        yield Cell(NAME, f"from input {first}", lambda nursery, f=first: _fuzzed(nursery, f, batches))  # type: ignore[misc]
