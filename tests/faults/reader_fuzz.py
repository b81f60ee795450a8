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

from tap_cdp_export.errors import CdpExportError, UnusableAnswer
from tap_cdp_export.files.compression import verified
from tap_cdp_export.files.json_chunks import read_verified_chunks
from tap_cdp_export.files.spool import Spool
from tap_cdp_export.records.batch import encode
from tap_cdp_export.records.json_decoder import JsonRecordDecoder
from tap_cdp_export.records.mapper import RecordMapper, camel_case, iso_time, kind_of
from tap_cdp_export.vendors.apsis.attribute_columns import AttributeColumns
from tap_cdp_export.vendors.apsis.export_file import PROFILES, event_records, profile_records, profiles_of, prove_file
from tap_cdp_export.vendors.apsis.file_decoder import ExportFileDecoder
from tap_cdp_export.vendors.apsis.schemas import EVENTS as EVENT_COLUMNS
from tap_cdp_export.vendors.apsis.schemas import PROFILES as PROFILE_COLUMNS
from tap_cdp_export.vendors.braze import archive
from tap_cdp_export.vendors.braze.schemas import TAP_COLUMNS as BRAZE_OWN
from tap_cdp_export.vendors.braze.schemas import USERS as BRAZE_USERS
from tap_cdp_export.vendors.personalization.csv_decoder import CsvPageDecoder
from tap_cdp_export.vendors.personalization.csv_pages import CsvPages
from tap_cdp_export.vendors.personalization.pages import JsonPageDecoder, JsonPages
from tap_cdp_export.vendors.personalization.schemas import TAP_COLUMNS, USERS
from tests.faults import fuzzed_inputs as inputs
from tests.faults.scenarios import Outcome, Scenario
from tests.faults.strict_lines import parsed
from tests.helpers.outputs import Columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_cdp_export.records.batch import EncodedRecords
    from tap_cdp_export.vendors.personalization.pages import PageDecoder
    from tests.faults.fork_server import ForkServer

    _Reader = Callable[[bytes, random.Random], Iterator[bytes]]

NAME: Final = "C6 reader fuzz"
_BATCH: Final = 500
_ROOM: Final = 400 * 2**20  # of addresses; each of the two threads that prove a zip reserves some 70 MiB of them
_BATCH_SECONDS: Final = 60
_ALL_SELECTED: Final = 0.5
_MAPPED: Final = 0.4
_WHOLE: Final = 0.5
_TIMES: Final = {"window_start": "2024-01-01T00:00:00.000Z", "window_end": "2024-01-02T00:00:00.000Z"}
_users: Final = RecordMapper(USERS, tap_columns=TAP_COLUMNS, to_vendor_name=camel_case)
_braze: Final = RecordMapper(BRAZE_USERS, tap_columns=BRAZE_OWN, time=iso_time)


def _read_array(data: bytes, chance: random.Random) -> Iterator[bytes]:
    tap_columns = {"dataset_id": "d", **_TIMES}
    columns = _some(chance, USERS, filtered=False)
    encoder = JsonPageDecoder(JsonRecordDecoder(_users, tap_columns, columns, required="name"))
    yield from _both_ways(
        data,
        lambda spool: _rows(_page_lines(encoder, spool, chance)),
        lambda spool: (
            columns.of_record(_users.record(_named(fields), tap_columns))
            for fields in verified(spool, JsonPages().objects)
        ),
    )


def _page_lines(encoder: PageDecoder, page: Spool, chance: random.Random) -> Iterator[EncodedRecords]:
    """Encode a page as a small or as a large one."""
    if chance.random() < _WHOLE:
        yield from verified(page, encoder.lines)
    else:
        for piece in encoder.pieces(page):
            yield from encoder.lines(Spool.of(piece))


def _read_csv(data: bytes, chance: random.Random) -> Iterator[bytes]:
    tap_columns = {"dataset_id": "d", **_TIMES}
    columns = _some(chance, USERS)
    pages = CsvPages("users", USERS, "|")
    encoder = CsvPageDecoder(pages, _users, tap_columns, columns)
    yield from _both_ways(
        data,
        lambda spool: _rows(_page_lines(encoder, spool, chance)),
        lambda spool: (
            columns.of_record(_users.record(_named(fields), tap_columns)) for fields in verified(spool, pages.objects)
        ),
    )


def _read_export_file(data: bytes, chance: random.Random) -> Iterator[bytes]:
    profiles, events = _some(chance, PROFILE_COLUMNS), _some(chance, EVENT_COLUMNS)
    typed = ExportFileDecoder(_TIMES, AttributeColumns(), {"1"}, profiles=profiles, events=events)

    def fast(spool: Spool) -> Iterator[bytes]:
        prove_file(spool)
        found = [part for run in read_verified_chunks(spool, PROFILES) for part in typed.lines(run)]
        yield from _rows(part.profiles for part in found)
        yield from _rows(part.events for part in found)

    def tolerant(spool: Spool) -> Iterator[dict[str, Any] | None]:
        prove_file(spool)
        found = [pair for run in read_verified_chunks(spool, PROFILES) for pair in profiles_of(run)]
        for key, profile in found:
            yield from (profiles.of_record(row) for row in profile_records(key, profile, _TIMES, {"1"}))
        for key, profile in found:
            yield from (events.of_record(row) for row in event_records(key, profile, _TIMES))

    yield from _both_ways(data, fast, tolerant)


def _read_archive(data: bytes, chance: random.Random) -> Iterator[bytes]:
    tap_columns = {"segment_id": "s"}
    columns = _some(chance, BRAZE_USERS)
    typed = JsonRecordDecoder(_braze, tap_columns, columns, required="braze_id")

    def fast(spool: Spool) -> Iterator[bytes]:
        archive.verify(spool)
        yield from _rows(lines for (lines,) in archive.encoded_users(spool, typed))

    def tolerant(spool: Spool) -> Iterator[dict[str, Any] | None]:
        archive.verify(spool)
        yield from (columns.of_record(_braze.record(user, tap_columns)) for user in archive.users(spool))

    yield from _both_ways(data, fast, tolerant)


def _some(chance: random.Random, schema: dict[str, Any], *, filtered: bool = True) -> Columns:
    """Select all columns of a stream, or the keys and some others; some of them go through a stream map."""
    names = schema["properties"]
    everything = chance.random() < _ALL_SELECTED
    chosen = [name for name in names if everything or name in schema["required"] or chance.random() < 0.5]
    if chance.random() > _MAPPED:
        return Columns(chosen)
    plain = [name for name in chosen if kind_of(names[name]) not in {"array", "object"}]
    read, made, removed = chance.choice(plain), chance.choice(plain), chance.choice(chosen)
    definition = {"a-new": f"{read} if {read} else 'none'", made: f"[{read}, self]", removed: "__NULL__"}
    if filtered and chance.random() < 0.5:
        definition["__filter__"] = f"{read} is not None and md5(str({read})) > '5'"
    return Columns(chosen, schema=schema, definition=definition)


def _named(fields: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(fields.get("name"), str) or not fields["name"]:
        raise UnusableAnswer("A record has no text as its name.")
    return fields


def _rows(line_blocks: Iterable[EncodedRecords]) -> Iterator[bytes]:
    return (row for lines in line_blocks for row in bytes(lines.data).split(b"\n")[:-1])


def _both_ways(
    data: bytes, fast: Callable[[Spool], Iterator[bytes]], tolerant: Callable[[Spool], Iterator[dict[str, Any] | None]]
) -> Iterator[bytes]:
    """Read an input both ways, which must agree: in every record, or in refusing it."""
    with Spool([data]) as spool:
        try:
            expected = [encode(record) for record in tolerant(spool) if record is not None]
        except CdpExportError:
            expected = None
    with Spool([data]) as spool:
        try:
            rows = list(fast(spool))
        except CdpExportError:
            if expected is not None:
                raise _Disagreement from None
            raise
    if expected is None or [*map(_loosely, rows)] != [*map(_loosely, expected)]:
        raise _Disagreement
    yield from rows


def _loosely(row: bytes) -> dict[str, Any]:
    """Parse a record; what is free in its form is passed on as it came, even with a key twice."""
    return parsed(row, unique=False)


class _Disagreement(Exception):
    """The two ways out of a stream give different records."""


def _made(number: int) -> tuple[_Reader, bytes]:
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


def judged(number: int) -> str:
    """Give one input to its reader.

    Args:
        number: of the input.

    Returns:
        What is wrong; nothing if all is well.
    """
    read, data = _made(number)
    try:
        records = list(read(data, random.Random(number)))  # noqa: S311 -- as above
    except CdpExportError as error:
        shown = str(error)
        return "its message quotes the input" if "canary" in shown else ""
    except BaseException as error:  # noqa: BLE001 -- exactly what must not happen
        return f"{read.__name__} raised {type(error).__name__}"
    for record in records:
        try:
            _loosely(record)
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
        if problem := judged(number):
            found.append(f"input {number}: {problem}")
    os.write(report, msgspec.json.encode(found[:50]))
    os._exit(0)


def _fuzzed(_nursery: ForkServer, first: int, batches: int) -> Outcome:
    found = []
    for batch in range(batches):
        found += _batch(first + batch * _BATCH)
    return Outcome(found, inputs=batches * _BATCH)


def scenarios(*, full: bool) -> Iterator[Scenario]:
    """100,000 inputs, or 4,000; FAULTS_SEED chooses others."""
    base = int(os.environ.get("FAULTS_SEED", "0")) * 10_000_000
    batches = 10 if full else 2
    for share in range(20 if full else 4):
        first = base + share * batches * _BATCH
        yield Scenario(NAME, f"from input {first}", lambda fork_server, f=first: _fuzzed(fork_server, f, batches))  # type: ignore[misc]
