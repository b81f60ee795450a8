"""Other processes encode in order, or not at all; whatever happens to them is told."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tap_cdp_export.errors import LocalFailure
from tap_cdp_export.records.batch import EncodedRecords
from tap_cdp_export.singer import workers
from tap_cdp_export.singer.workers import Batch, map_ordered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks safely")

_LARGE = b" ".ljust(300_000, b"x")


def _numbered(number: int) -> bytes:
    return b"%d" % number + _LARGE


def _number(item: bytes) -> int:
    return int(item.split(b" ", 1)[0])


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a machine of one core for one of two."""
    monkeypatch.setattr(workers, "usable_processors", lambda: 2)


def told(item: bytes) -> list[Batch]:
    """Say what came, and in which process."""
    return [(EncodedRecords(1, b"%d %d\n" % (len(item), os.getpid())),), (EncodedRecords(1, b"%d\n" % _number(item)),)]


def left_out(item: bytes) -> list[Batch]:
    return [(EncodedRecords(1, b"x\n", left_out=_number(item)),)]


def test_how_many_records_a_filter_left_out_is_told_across_processes() -> None:
    found = map_ordered(left_out, [_numbered(number) for number in range(6)])
    assert [lines.left_out for ((lines,),) in found] == [*range(6)]


def read(items: Iterable[bytes]) -> list[bytes]:
    return [b"".join(bytes(lines.data) for lines in part) for part in chain.from_iterable(map_ordered(told, items))]


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@pytest.fixture
def others() -> set[str]:
    """Processes of other tests, such as servers that stay."""
    return children()


def test_items_come_in_order_from_other_processes() -> None:
    found = read([_numbered(number) + b"y" * number for number in range(8)])
    assert [part.split()[-1] for part in found[1::2]] == [b"%d" % number for number in range(8)]
    sizes, workers = zip(*(part.split() for part in found[::2]), strict=True)
    assert [int(size) for size in sizes] == [len(_numbered(0)) + number for number in range(8)]
    assert b"%d" % os.getpid() not in workers


def test_little_is_done_without_another_process() -> None:
    found = read([_numbered(number)[:1000] for number in range(20)])
    assert {part.split()[1] for part in found[::2]} == {b"%d" % os.getpid()}


def test_one_core_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "usable_processors", lambda: 1)
    found = read([_numbered(number) for number in range(4)])
    assert {part.split()[1] for part in found[::2]} == {b"%d" % os.getpid()}


def test_a_system_that_gives_no_process_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refuse)
    found = read([_numbered(number) for number in range(4)])
    assert {part.split()[1] for part in found[::2]} == {b"%d" % os.getpid()}


def test_a_large_item_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_MOST_BYTES", 400_000)
    found = read([_numbered(1), _numbered(2) + _LARGE, _numbered(3)])
    assert found[1::2] == [b"1\n", b"2\n", b"3\n"]
    assert found[2].split()[1] == b"%d" % os.getpid()
    assert found[0].split()[1] != b"%d" % os.getpid()


def test_an_answer_larger_than_the_shared_memory_is_made_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_SLOT_BYTES", 400_000)

    def doubled(item: bytes) -> Iterator[Batch]:
        yield (EncodedRecords(1, item * 2),)

    assert [bytes(lines.data) for ((lines,),) in map_ordered(doubled, [_LARGE] * 3)] == [_LARGE * 2] * 3


def test_trouble_with_an_item_comes_in_its_turn_and_gives_nothing_of_that_item(others: set[str]) -> None:
    def picky(item: bytes) -> Iterator[Batch]:
        yield (EncodedRecords(1, b"%d" % _number(item)),)
        if _number(item) == 3:
            raise ValueError("three")

    found = []
    with pytest.raises(ValueError, match="three"):  # noqa: PT012 -- what came before it counts
        for ((lines,),) in map_ordered(picky, (_numbered(number) for number in range(6))):
            found.append(bytes(lines.data))
    assert found == [b"0", b"1", b"2"]
    assert children() <= others


def test_trouble_with_getting_an_item_comes_after_all_that_was_there_before() -> None:
    def items() -> Iterator[bytes]:
        yield _numbered(0)
        yield _numbered(1)
        raise ValueError("no more")

    found = []
    with pytest.raises(ValueError, match="no more"):  # noqa: PT012 -- what came before it counts
        for (lines,) in chain.from_iterable(map_ordered(told, items())):
            found.append(bytes(lines.data).split()[-1])
    assert found[1::2] == [b"0", b"1"]


def test_shared_memory_is_given_back() -> None:
    def shared() -> int:
        return Path("/proc/self/maps").read_text().count("/dev/zero")

    before = shared()
    for _ in range(3):
        read([_numbered(number) for number in range(6)])
    assert shared() == before


def test_a_parent_that_ignores_the_end_of_children_sees_all_of_them() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert len(read([_numbered(number) for number in range(6)])) == 12
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_process_that_the_system_ends_is_an_error_that_says_so(others: set[str]) -> None:
    def deadly(item: bytes) -> Iterator[Batch]:
        if _number(item) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        yield (EncodedRecords(1, b"%d" % _number(item)),)

    found = []
    with pytest.raises(LocalFailure, match="memory"):  # noqa: PT012 -- what came before it counts
        for ((lines,),) in map_ordered(deadly, (_numbered(number) for number in range(6))):
            found.append(bytes(lines.data))
    assert found == [b"0", b"1"]
    assert children() <= others


def test_nothing_is_left_when_nobody_wants_more(others: set[str]) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 -- not a folder of ours
    with closing(map_ordered(told, (_numbered(number) for number in range(6)))) as found:
        next(found)
        assert len(children() - others) == 2
    assert children() <= others
    del found
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 -- not a folder of ours


_PROGRAM = """
import os, sys, time
from tap_cdp_export.records.batch import EncodedRecords
from tap_cdp_export.singer.workers import map_ordered
import tap_cdp_export.singer.workers
tap_cdp_export.singer.workers.usable_processors = lambda: 2
def told(item):
    return [(EncodedRecords(1, b"%d" % os.getpid()),)]
found = map_ordered(told, (b"x" * 300_000 for _ in range(1_000_000)))
workers = {bytes(next(iter(next(found)))[0].data).decode() for _ in range(8)}
print(*workers, flush=True)
for signal_number in (2, 15):
    for worker in workers:
        os.kill(int(worker), signal_number)
assert {bytes(next(iter(next(found)))[0].data).decode() for _ in range(8)} == workers
print("unharmed", flush=True)
sys.stdin.read()
"""


def test_signals_are_the_parents_to_judge_and_no_process_outlives_it(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(_PROGRAM)
    command = [sys.executable, str(tmp_path / "program.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        workers = parent.stdout.readline().split()
        assert len(workers) == 2
        assert parent.stdout.readline() == "unharmed\n"
        ends = [os.pidfd_open(int(worker)) for worker in workers]
        parent.kill()
        for end in ends:
            with os.fdopen(end):
                assert _ended(end)


def _ended(process: int) -> bool:
    return bool(select.select([process], [], [], 10)[0])
