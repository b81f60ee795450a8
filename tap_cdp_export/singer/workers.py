"""Bytes encoded in forked processes, in order: what a second core is for.

A process of its own is the only way to decode and encode on a second core. The children know nothing but the
function: whatever they cannot do, and everything there is too little of to be worth a process, is done here.
"""

from __future__ import annotations

import gc
import mmap
import multiprocessing
import os
import signal
import sys
import warnings
from collections import deque
from contextlib import ExitStack, suppress
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from tap_cdp_export.errors import LocalFailure
from tap_cdp_export.records.batch import EncodedRecords
from tap_cdp_export.signals import STOP

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from multiprocessing.connection import Connection

Batch: TypeAlias = "tuple[EncodedRecords, ...]"
"""Encoded records, for one stream or for several."""

_WORKERS: Final = 2
_SLOTS_PER_WORKER: Final = 2
"""A child has its next item before anyone takes what the last one has become."""

_MIN_BYTES_TO_FORK: Final = 256 * 1024
"""So many bytes are encoded sooner than a child has started."""

_SLOT_BYTES: Final = 32 * 2**20
"""So much an item, and what it becomes, may have; only what is used of it takes memory."""


def map_ordered(function: Callable[[bytes], Iterable[Batch]], items: Iterable[bytes]) -> Generator[Batch]:
    """Encode items, in other processes once there is much of them.

    Args:
        function: encodes an item; depends on nothing else, and neither logs nor writes.
        items: what it is applied to.

    Yields:
        The parts, in the order of the items; none of an item before all of them are there.

    Raises:
        LocalFailure: If the system ends one of the processes.
        Exception: Whatever `function` raises, in its item's turn.
    """
    waiting = _with_error_last(items)
    can_fork_workers = _can_fork_workers()
    done = 0
    for item in waiting:
        done += len(item) if isinstance(item, bytes) else 0
        if can_fork_workers and done > _MIN_BYTES_TO_FORK:
            waiting = chain([item], waiting)
            break
        yield from _in_this_process(function, item)
    with ExitStack() as workers:
        pool = _WorkerPool(function, workers)
        busy = deque((item, pool.submit(item)) for item in islice(waiting, _WORKERS * _SLOTS_PER_WORKER))
        while busy:
            item, slot = busy.popleft()
            answer = slot.result() if slot else None
            yield from _in_this_process(function, item) if answer is None else answer
            if slot:
                pool.free_slots.append(slot)
            busy.extend((item, pool.submit(item)) for item in islice(waiting, 1))


def _with_error_last(items: Iterable[bytes]) -> Iterator[bytes | Exception]:
    """Keep trouble with an item for its turn: items are asked for before those ahead of them are done."""
    try:
        yield from items
    except Exception as trouble:  # noqa: BLE001 -- it is raised again in its turn
        yield trouble


def _in_this_process(function: Callable[[bytes], Iterable[Batch]], item: bytes | Exception) -> list[Batch]:
    if isinstance(item, Exception):
        raise item
    return list(function(item))


class _WorkerPool:
    """The processes of one call, begun one by one as there is work for them."""

    def __init__(self, function: Callable[[bytes], Iterable[Batch]], workers: ExitStack) -> None:
        self._function = function
        self._workers = workers
        self._workers_to_start = _WORKERS
        self.free_slots: deque[_SharedSlot] = deque()

    def submit(self, item: bytes | Exception) -> _SharedSlot | None:
        """Give an item to a child; None where it is for the parent."""
        if isinstance(item, Exception) or len(item) > _SLOT_BYTES:
            return None
        if self._workers_to_start:
            self._workers_to_start -= 1
            with suppress(OSError):  # the system has no process to give
                first, *others = self._workers.enter_context(_Worker(self._function)).slots
                self.free_slots.extendleft([first])
                self.free_slots.extend(others)
        slot = self.free_slots.popleft() if self.free_slots else None
        if slot:
            slot.send(item)
        return slot


def _can_fork_workers() -> bool:
    """Tell whether a second process helps; where threads or libraries make forking unsafe, it does not."""
    return sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1


class _SharedSlot:
    """Memory for an item and for what it becomes, which a child sees too; it knows no child, or it would stay."""

    def __init__(self, number: int, requests: Connection[Any, Any], results: Connection[Any, Any]) -> None:
        self._number = number
        self._requests = requests
        self._results = results
        self.item = mmap.mmap(-1, _SLOT_BYTES)
        self.encoded = mmap.mmap(-1, _SLOT_BYTES)

    def send(self, item: bytes) -> None:
        self.item[: len(item)] = item
        with suppress(OSError):  # a child that is gone is found out when its answer is due
            self._requests.send((self._number, len(item)))

    def result(self) -> Iterator[Batch] | None:
        """Wait for the parts, which are there until the next question; None if there was trouble."""
        try:
            with STOP.interruptible():
                result = self._results.recv()
        except (EOFError, OSError):
            raise LocalFailure(
                "The system ended a process of this run, most likely for want of memory. Give it more, or run it again."
            ) from None
        if result is None:
            return None
        encoded = memoryview(self.encoded)
        return (
            tuple(EncodedRecords(number, encoded[start:end], left_out) for number, left_out, start, end in part)
            for part in result
        )


class _Worker:
    """One process, which answers one item after the other, in the order in which it is asked."""

    def __init__(self, function: Callable[[bytes], Iterable[Batch]]) -> None:
        self._function = function

    def __enter__(self) -> Self:
        requests, self._requests = multiprocessing.Pipe(duplex=False)
        self._results, results = multiprocessing.Pipe(duplex=False)
        self.slots = [_SharedSlot(number, self._requests, self._results) for number in range(_SLOTS_PER_WORKER)]
        gc.freeze()  # or the collector touches, and so copies, every page that both have
        with warnings.catch_warnings():  # newer Pythons warn of locks that other threads hold: the child needs none
            warnings.simplefilter("ignore", DeprecationWarning)
            self._process = os.fork()
        if not self._process:
            self._requests.close()
            self._results.close()
            self._serve(requests, results)
        requests.close()
        results.close()
        return self

    def _serve(self, requests: Connection[Any, Any], results: Connection[Any, Any]) -> None:
        """Work until the parent closes its end or is gone; signals are the parent's to judge."""
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                number, size = requests.recv()
                slot = self.slots[number]
                try:
                    results.send(self._encode(slot.item[:size], slot.encoded))
                except Exception:  # noqa: BLE001 -- the parent meets it again, and raises it
                    results.send(None)
        except BaseException:  # noqa: BLE001, S110 -- nothing of the parent's way out may happen here
            pass
        finally:
            os._exit(0)

    def _encode(self, item: bytes, memory: mmap.mmap) -> list[list[tuple[int, int, int, int]]]:
        """Put what an item becomes into the shared memory; tell how many records are from where to where."""
        result: list[list[tuple[int, int, int, int]]] = []
        end = 0
        for part in self._function(item):
            result.append([])
            for lines in part:
                start, end = end, end + len(lines.data)
                memory[start:end] = lines.data  # which fails where it is too much
                result[-1].append((lines.number, lines.left_out, start, end))
        return result

    def __exit__(self, *_exception: object) -> None:
        self._requests.close()
        self._results.close()
        with suppress(ProcessLookupError, ChildProcessError):  # where SIGCHLD is ignored, the system waits for it
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
