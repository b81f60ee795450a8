"""C6: any bytes at all end in records or in one of our errors; never in a crash, a hang, or all of the memory."""

from __future__ import annotations

import json
import mmap
import os
import random
import resource
import signal
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest

from tap_cdp_export.errors import CdpExportError
from tap_cdp_export.files.compression import open_decompressed, verified
from tap_cdp_export.files.json_chunks import read_verified_chunks
from tap_cdp_export.files.spool import Spool
from tap_cdp_export.files.strict_json import InvalidJSON
from tap_cdp_export.records import free_form
from tap_cdp_export.records.batch import encode
from tap_cdp_export.records.json_decoder import JsonRecordDecoder
from tap_cdp_export.records.mapper import kind_of
from tap_cdp_export.vendors.apsis import file_decoder
from tap_cdp_export.vendors.apsis.attribute_columns import AttributeColumns
from tap_cdp_export.vendors.apsis.export_file import PROFILES, KnownIds, verify_file
from tap_cdp_export.vendors.apsis.file_decoder import ExportFileDecoder
from tap_cdp_export.vendors.apsis.schemas import EVENTS as EVENT_COLUMNS
from tap_cdp_export.vendors.apsis.schemas import PROFILES as PROFILE_COLUMNS
from tap_cdp_export.vendors.braze import archive
from tap_cdp_export.vendors.braze.schemas import USERS as BRAZE_USERS
from tap_cdp_export.vendors.braze.user_decoder import UserDecoder
from tap_cdp_export.vendors.personalization import csv_pages, long_cells
from tap_cdp_export.vendors.personalization.csv_decoder import CsvPageDecoder
from tap_cdp_export.vendors.personalization.csv_pages import KEY_ALIASES, CsvPages
from tap_cdp_export.vendors.personalization.pages import JsonPageDecoder
from tap_cdp_export.vendors.personalization.schemas import USERS
from tests.faults import fuzzed_inputs as inputs
from tests.faults import plain_decoders as plain
from tests.faults.scenarios import Outcome, Scenario
from tests.faults.strict_lines import parsed
from tests.helpers.outputs import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import ModuleType

    from tap_cdp_export.records.batch import RecordBatch
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
_LONG: Final = 0.5
_PART_BYTES: Final = 7
_KNOWN: Final = KnownIds({"1"}, {"2"})
_TIMES: Final = {"window_start": "2024-01-01T00:00:00.000Z", "window_end": "2024-01-02T00:00:00.000Z"}


def _read_array(data: bytes, chance: random.Random) -> Iterator[bytes]:
    tap_columns = {"dataset_id": "d", **_TIMES}
    output = _some(chance, USERS, filtered=False)
    selected = output.selected_columns
    names = KEY_ALIASES["users"]
    decoder = JsonPageDecoder(
        JsonRecordDecoder(plain.USER_MAPPER, tap_columns, selected, required="name", aliases=names)
    )

    def decoded(spool: Spool) -> Iterator[bytes]:
        with _lowered(chance, (free_form, "LONG_BYTES")):
            yield from output_lines(output, _page_batches(decoder, spool, chance))

    yield from _compared(data, decoded, lambda spool: map(output.of_record, plain.users_of_json(spool, tap_columns)))


def _page_batches(decoder: PageDecoder, page: Spool, chance: random.Random) -> Iterator[RecordBatch]:
    """Decode a page as a small or as a large one."""
    if chance.random() < _WHOLE:
        yield from verified(page, decoder.decode)
    else:
        for piece in decoder.pieces(page):
            yield from decoder.decode(Spool.of(piece))


def _read_csv(data: bytes, chance: random.Random) -> Iterator[bytes]:
    tap_columns = {"dataset_id": "d", **_TIMES}
    output = _some(chance, USERS)
    pages = CsvPages("users", USERS, "|")
    decoder = CsvPageDecoder(pages, plain.USER_MAPPER, tap_columns, output.selected_columns)

    def decoded(spool: Spool) -> Iterator[bytes]:
        with _lowered(chance, (csv_pages, "_TABLE_CHARACTERS"), (long_cells, "_LONG_BYTES")):
            yield from output_lines(output, _page_batches(decoder, spool, chance))

    yield from _compared(
        data, decoded, lambda spool: map(output.of_record, plain.users_of_csv(spool, pages, tap_columns))
    )


def _read_export_file(data: bytes, chance: random.Random) -> Iterator[bytes]:
    profiles, events = _some(chance, PROFILE_COLUMNS), _some(chance, EVENT_COLUMNS)
    decoder = ExportFileDecoder(_TIMES, AttributeColumns(), _KNOWN, with_profiles=True, with_events=True)

    def decoded(spool: Spool) -> Iterator[bytes]:
        verify_file(spool)
        with _lowered(
            chance,
            (file_decoder, "_LONG_BYTES"),
            (file_decoder, "_LONG_ATTRIBUTES_BYTES"),
            (free_form, "LONG_BYTES"),
        ):
            parts = [part for chunk in read_verified_chunks(spool, PROFILES) for part in decoder.decode(chunk)]
        yield from output_lines(profiles, (part[0] for part in parts))
        yield from output_lines(events, (part[1] for part in parts))

    def expected(spool: Spool) -> Iterator[dict[str, Any] | None]:
        profile_rows, event_rows = plain.profiles_and_events_of(spool, _TIMES, _KNOWN)
        yield from map(profiles.of_record, profile_rows)
        yield from map(events.of_record, event_rows)

    yield from _compared(data, decoded, expected)


def _read_archive(data: bytes, chance: random.Random) -> Iterator[bytes]:
    output = _some(chance, BRAZE_USERS)
    decoder = UserDecoder("s", output.selected_columns)

    def decoded(download: Spool) -> Iterator[bytes]:
        with archive.unpacked(download) as spool:
            archive.verify(spool)
            with archive.naming_bad_lines(spool), _lowered(chance, (free_form, "LONG_BYTES")):
                yield from output_lines(output, map(decoder.decode, archive.line_blocks_of(spool)))

    yield from _compared(
        data, decoded, lambda spool: map(output.of_record, plain.users_of_archive(spool, {"segment_id": "s"}))
    )


@contextmanager
def _lowered(chance: random.Random, *limits: tuple[ModuleType, str]) -> Iterator[None]:
    """Sometimes treat everything as long, and read CSV a few bytes at a time."""
    with pytest.MonkeyPatch.context() as patch:
        if chance.random() < _LONG:
            for module, name in limits:
                patch.setattr(module, name, 0)
            patch.setattr(csv_pages, "open_decompressed", _in_small_parts)
        yield


def _in_small_parts(spool: Spool) -> Iterator[bytes]:
    for chunk in open_decompressed(spool):
        for start in range(0, len(chunk), _PART_BYTES):
            yield chunk[start : start + _PART_BYTES]


def output_lines(output: Output, batches: Iterable[RecordBatch]) -> Iterator[bytes]:
    """Encode batches by columns and as whole records, which must give the same."""
    return (line for batch in batches for line in output.lines(batch, _loosely))


def _some(chance: random.Random, schema: dict[str, Any], *, filtered: bool = True) -> Output:
    """Select all columns of a stream, or the keys and some others; some of them go through a stream map."""
    names = schema["properties"]
    everything = chance.random() < _ALL_SELECTED
    chosen = [name for name in names if everything or name in schema["required"] or chance.random() < 0.5]
    if chance.random() > _MAPPED:
        return Output(chosen)
    plain = [name for name in chosen if kind_of(names[name]) not in {"array", "object"}]
    read, made, removed = chance.choice(plain), chance.choice(plain), chance.choice(chosen)
    definition = {"a-new": f"{read} if {read} else 'none'", made: f"[{read}, self]", removed: "__NULL__"}
    if filtered and chance.random() < 0.5:
        definition["__filter__"] = f"{read} is not None and md5(str({read})) > '5'"
    return Output(chosen, schema=schema, definition=definition)


def _compared(
    data: bytes,
    decoded: Callable[[Spool], Iterator[bytes]],
    plainly: Callable[[Spool], Iterable[dict[str, Any] | None]],
) -> Iterator[bytes]:
    """Decode an input with the package's decoder and a plain one, which must give the same records, or refuse both."""
    with Spool([data]) as spool:
        try:
            expected = [encode(record) for record in plainly(spool) if record is not None]
        except (CdpExportError, InvalidJSON):
            expected = None
    with Spool([data]) as spool:
        try:
            rows = list(decoded(spool))
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
    """The decoder and the plain one give different records."""


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
        return _counted(data, len(records))
    return ""


def _counted(data: bytes, count: int) -> str:
    """Hold the reader against the standard library: what was accepted is an array of so many objects."""
    try:
        whole: Any = json.loads(data.decode("utf-8-sig", "surrogatepass"))
    except (ValueError, RecursionError):
        return "_read_array accepted what is no JSON"
    if whole is None:
        return "" if not count else "_read_array made records of null"
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
