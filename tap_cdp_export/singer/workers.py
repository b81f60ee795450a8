"""Encode chunks in forked worker processes; results come in input order.

A Python process decodes and encodes on one processor only. Workers have nothing but the function that encodes a chunk.
Small inputs, chunks that do not fit the shared memory, and chunks on which a worker fails are encoded in the parent.

`concurrent.futures.ProcessPoolExecutor` is no replacement: its workers survive a SIGKILL of the parent and then hold
stdout open, so that the target waits for ever (docs/decisions.md, "Worker processes of our own").
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
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias, TypeVar

from tap_cdp_export.errors import LocalFailure
from tap_cdp_export.records.batch import EncodedRecords
from tap_cdp_export.signals import STOP
from tap_cdp_export.singer.processors import usable_processors

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from multiprocessing.connection import Connection

T = TypeVar("T")
Batch: TypeAlias = "tuple[EncodedRecords, ...]"
"""Encoded records of one chunk: one item for each stream that the chunk feeds."""

_WORKERS: Final = 2
_SLOTS_PER_WORKER: Final = 2
"""A worker has its next chunk while the result of its last one waits to be written."""

_MIN_BYTES_TO_FORK: Final = 256 * 1024
"""Smaller inputs are encoded in less time than a worker takes to start."""

_SLOT_BYTES: Final = 32 * 2**20
"""Largest result of one chunk. Pages of the mapping that are never touched take no memory."""

_MOST_BYTES: Final = 4 * 2**20
"""A larger chunk is encoded in the parent: a worker would hold copies of it and of its result."""


def map_ordered(function: Callable[[bytes], Iterable[Batch]], items: Iterable[bytes]) -> Generator[Iterable[Batch]]:
    """Encode chunks, in worker processes once there are more than 256 KiB of them.

    Args:
        function: encodes a chunk. It runs in a forked process, so it neither logs nor writes.
        items: the chunks.

    Yields:
        The batches of each chunk, in input order; none of a chunk before all of its batches are encoded, unless it
        is larger than 4 MiB. They are valid until those of the next chunk are requested, since they may be views of
        shared memory.

    Raises:
        LocalFailure: If the system kills a worker.
        Exception: Whatever `function` or `items` raises, after the results of the chunks before.
    """
    waiting = _with_error_last(items)
    can_fork_workers = _can_fork_workers()
    done = 0
    for item in waiting:
        done += len(item) if isinstance(item, bytes) else 0
        if can_fork_workers and done > _MIN_BYTES_TO_FORK:
            waiting = chain([item], waiting)
            break
        yield in_this_process(function, item)
    with ExitStack() as workers:
        pool = _WorkerPool(function, workers)
        busy: deque[tuple[bytes | Exception, _SharedSlot | None]] = deque()
        while True:
            while len(busy) < _WORKERS * _SLOTS_PER_WORKER and not (
                busy and busy[-1][1] is None
            ):  # one large item at a time
                following = next(waiting, None)
                if following is None:
                    break
                busy.append((following, pool.submit(following)))
            if not busy:
                return
            item, slot = busy.popleft()
            answer = slot.result() if slot else None
            yield in_this_process(function, item) if answer is None else answer
            if slot:
                pool.free_slots.append(slot)


def _with_error_last(items: Iterable[bytes]) -> Iterator[bytes | Exception]:
    """Yield an exception in place of raising it: chunks are read before the results of earlier ones are written."""
    try:
        yield from items
    except Exception as error:  # noqa: BLE001 -- raised again in its turn
        yield error


def in_this_process(function: Callable[[bytes], Iterable[T]], item: bytes | Exception) -> Iterable[T]:
    """Apply a function to a chunk without a worker.

    Args:
        function: as for `map_ordered`.
        item: the chunk, or what is to be raised in its place.

    Returns:
        The results; one by one if the chunk is larger than 4 MiB, else all of them at once.
    """
    if isinstance(item, Exception):
        raise item
    parts = function(item)
    return parts if len(item) > _MOST_BYTES else list(parts)


class _WorkerPool:
    """The workers of one call, started one by one as there are chunks for them."""

    def __init__(self, function: Callable[[bytes], Iterable[Batch]], workers: ExitStack) -> None:
        self._function = function
        self._workers = workers
        self._workers_to_start = _WORKERS
        self.free_slots: deque[_SharedSlot] = deque()

    def submit(self, item: bytes | Exception) -> _SharedSlot | None:
        """Send a chunk to a worker; None if the parent has to encode it."""
        if isinstance(item, Exception) or len(item) > _MOST_BYTES:
            return None
        if self._workers_to_start:
            self._workers_to_start -= 1
            with suppress(OSError):  # the system allows no more processes
                first, *others = self._workers.enter_context(_Worker(self._function)).slots
                self.free_slots.extendleft([first])
                self.free_slots.extend(others)
        slot = self.free_slots.popleft() if self.free_slots else None
        if slot:
            slot.send(item)
        return slot


def _can_fork_workers() -> bool:
    """True on Linux with more than one processor to use; elsewhere fork() is unsafe once threads exist."""
    return sys.platform == "linux" and usable_processors() > 1


class _SharedSlot:
    """Two mappings that parent and worker share: one for a chunk, one for its result.

    A slot holds the pipes' ends but not the worker: a result that is still referenced would otherwise keep the worker
    alive. Life of a slot: free -> `send` (chunk copied in) -> `result` (views of the encoded records) -> the records
    are written -> free again.
    """

    def __init__(self, number: int, requests: Connection[Any, Any], results: Connection[Any, Any]) -> None:
        self._number = number
        self._requests = requests
        self._results = results
        self.item = mmap.mmap(-1, _SLOT_BYTES)
        self.encoded = mmap.mmap(-1, _SLOT_BYTES)

    def send(self, item: bytes) -> None:
        self.item[: len(item)] = item
        with suppress(OSError):  # a worker that is gone is noticed when its result is due
            self._requests.send((self._number, len(item)))

    def result(self) -> Iterator[Batch] | None:
        """Wait for the result, valid until the next `send`; None if the worker failed on the chunk."""
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
            tuple(EncodedRecords(number, encoded[start:end], *others) for number, start, end, *others in part)
            for part in result
        )


class _Worker:
    """One forked process, which encodes chunks in the order in which they are sent."""

    def __init__(self, function: Callable[[bytes], Iterable[Batch]]) -> None:
        self._function = function

    def __enter__(self) -> Self:
        requests, self._requests = multiprocessing.Pipe(duplex=False)
        self._results, results = multiprocessing.Pipe(duplex=False)
        self.slots = [_SharedSlot(number, self._requests, self._results) for number in range(_SLOTS_PER_WORKER)]
        gc.freeze()  # the collector would write to, and so copy, every page that both processes share
        with warnings.catch_warnings():  # Python 3.12 warns that other threads may hold locks; a worker takes none
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
        """Encode until the parent closes its end of the pipe or is gone; signals are left to the parent."""
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                number, size = requests.recv()
                slot = self.slots[number]
                try:
                    results.send(self._encode(slot.item[:size], slot.encoded))
                except Exception:  # noqa: BLE001 -- the parent encodes the chunk itself, and raises
                    results.send(None)
        except BaseException:  # noqa: BLE001, S110 -- no handler of the parent may run in a worker
            pass
        finally:
            os._exit(0)

    def _encode(self, item: bytes, memory: mmap.mmap) -> list[list[tuple[Any, ...]]]:
        """Write the batches into shared memory; return number, start, end and all else of each."""
        result: list[list[tuple[Any, ...]]] = []
        end = 0
        for part in self._function(item):
            result.append([])
            for lines in part:
                start, end = end, end + len(lines.data)
                memory[start:end] = lines.data  # raises where there is too much of it
                result[-1].append((lines.number, start, end, lines.left_out, lines.keys, lines.misfits))
        return result

    def __exit__(self, *_exception: object) -> None:
        self._requests.close()
        self._results.close()
        with suppress(ProcessLookupError, ChildProcessError):  # gone already where SIGCHLD is ignored
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
