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
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from tap_cdp_export.errors import LocalFailure
from tap_cdp_export.messages import Lines
from tap_cdp_export.shutdown import SHUTDOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from multiprocessing.connection import Connection

Part: TypeAlias = "tuple[Lines, ...]"
"""Encoded records, for one stream or for several."""

_CHILDREN: Final = 2
_ROOMS: Final = 2
"""A child has its next item before anyone takes what the last one has become."""

_TOO_LITTLE: Final = 256 * 1024
"""So many bytes are encoded sooner than a child has started."""

_SHARED_BYTES: Final = 32 * 2**20
"""So much an item becomes at most; only what is used of it takes memory."""

_MOST_BYTES: Final = 4 * 2**20
"""A larger item is done here: a child would have copies of it, and of what it becomes."""


def in_order(function: Callable[[bytes], Iterable[Part]], items: Iterable[bytes]) -> Generator[Part]:
    """Encode items, in other processes once there is much of them.

    Args:
        function: encodes an item; depends on nothing else, and neither logs nor writes.
        items: what it is applied to.

    Yields:
        The parts, in the order of the items; none of an item before all of them are there, unless it is large.

    Raises:
        LocalFailure: If the system ends one of the processes.
        Exception: Whatever `function` raises, in its item's turn.
    """
    waiting = _until_trouble(items)
    has_cores = _has_cores()
    done = 0
    for item in waiting:
        done += len(item) if isinstance(item, bytes) else 0
        if has_cores and done > _TOO_LITTLE:
            waiting = chain([item], waiting)
            break
        yield from _done_here(function, item)
    with ExitStack() as children:
        crew = _Crew(function, children)
        busy: deque[tuple[bytes | Exception, _Room | None]] = deque()
        while True:
            while len(busy) < _CHILDREN * _ROOMS and not (busy and busy[-1][1] is None):  # one large item at a time
                following = next(waiting, None)
                if following is None:
                    break
                busy.append((following, crew.room_with(following)))
            if not busy:
                return
            item, room = busy.popleft()
            answer = room.answer() if room else None
            yield from _done_here(function, item) if answer is None else answer
            if room:
                crew.idle.append(room)


def _until_trouble(items: Iterable[bytes]) -> Iterator[bytes | Exception]:
    """Keep trouble with an item for its turn: items are asked for before those ahead of them are done."""
    try:
        yield from items
    except Exception as trouble:  # noqa: BLE001 -- it is raised again in its turn
        yield trouble


def _done_here(function: Callable[[bytes], Iterable[Part]], item: bytes | Exception) -> Iterable[Part]:
    if isinstance(item, Exception):
        raise item
    parts = function(item)
    return parts if len(item) > _MOST_BYTES else list(parts)


class _Crew:
    """The processes of one call, begun one by one as there is work for them."""

    def __init__(self, function: Callable[[bytes], Iterable[Part]], children: ExitStack) -> None:
        self._function = function
        self._children = children
        self._to_begin = _CHILDREN
        self.idle: deque[_Room] = deque()

    def room_with(self, item: bytes | Exception) -> _Room | None:
        """Give an item to a child; None where it is for the parent."""
        if isinstance(item, Exception) or len(item) > _MOST_BYTES:
            return None
        if self._to_begin:
            self._to_begin -= 1
            with suppress(OSError):  # the system has no process to give
                first, *others = self._children.enter_context(_Child(self._function)).rooms
                self.idle.extendleft([first])
                self.idle.extend(others)
        room = self.idle.popleft() if self.idle else None
        if room:
            room.ask(item)
        return room


def _has_cores() -> bool:
    """Tell whether a second process helps; where threads or libraries make forking unsafe, it does not."""
    return sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1


class _Room:
    """Memory for an item and for what it becomes, which a child sees too; it knows no child, or it would stay."""

    def __init__(self, number: int, questions: Connection[Any, Any], answers: Connection[Any, Any]) -> None:
        self._number = number
        self._questions = questions
        self._answers = answers
        self.item = mmap.mmap(-1, _SHARED_BYTES)
        self.encoded = mmap.mmap(-1, _SHARED_BYTES)

    def ask(self, item: bytes) -> None:
        self.item[: len(item)] = item
        with suppress(OSError):  # a child that is gone is found out when its answer is due
            self._questions.send((self._number, len(item)))

    def answer(self) -> Iterator[Part] | None:
        """Wait for the parts, which are there until the next question; None if there was trouble."""
        try:
            with SHUTDOWN.waiting():
                told = self._answers.recv()
        except (EOFError, OSError):
            raise LocalFailure(
                "The system ended a process of this run, most likely for want of memory. Give it more, or run it again."
            ) from None
        if told is None:
            return None
        encoded = memoryview(self.encoded)
        return (
            tuple(Lines(number, encoded[start:end], left_out, keys) for number, left_out, keys, start, end in part)
            for part in told
        )


class _Child:
    """One process, which answers one item after the other, in the order in which it is asked."""

    def __init__(self, function: Callable[[bytes], Iterable[Part]]) -> None:
        self._function = function

    def __enter__(self) -> Self:
        questions, self._questions = multiprocessing.Pipe(duplex=False)
        self._answers, answers = multiprocessing.Pipe(duplex=False)
        self.rooms = [_Room(number, self._questions, self._answers) for number in range(_ROOMS)]
        gc.freeze()  # or the collector touches, and so copies, every page that both have
        with warnings.catch_warnings():  # newer Pythons warn of locks that other threads hold: the child needs none
            warnings.simplefilter("ignore", DeprecationWarning)
            self._process = os.fork()
        if not self._process:
            self._questions.close()
            self._answers.close()
            self._serve(questions, answers)
        questions.close()
        answers.close()
        return self

    def _serve(self, questions: Connection[Any, Any], answers: Connection[Any, Any]) -> None:
        """Work until the parent closes its end or is gone; signals are the parent's to judge."""
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                number, size = questions.recv()
                room = self.rooms[number]
                try:
                    answers.send(self._encode(room.item[:size], room.encoded))
                except Exception:  # noqa: BLE001 -- the parent meets it again, and raises it
                    answers.send(None)
        except BaseException:  # noqa: BLE001, S110 -- nothing of the parent's way out may happen here
            pass
        finally:
            os._exit(0)

    def _encode(self, item: bytes, memory: mmap.mmap) -> list[list[tuple[int, ...]]]:
        """Put what an item becomes into the shared memory; tell how many records are from where to where."""
        told: list[list[tuple[int, ...]]] = []
        end = 0
        for part in self._function(item):
            told.append([])
            for lines in part:
                start, end = end, end + len(lines.data)
                memory[start:end] = lines.data  # which fails where it is too much
                told[-1].append((lines.number, lines.left_out, lines.keys, start, end))
        return told

    def __exit__(self, *_exception: object) -> None:
        self._questions.close()
        self._answers.close()
        with suppress(ProcessLookupError, ChildProcessError):  # where SIGCHLD is ignored, the system waits for it
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
