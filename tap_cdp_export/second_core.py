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
from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypeAlias, cast

from tap_cdp_export.errors import LocalFailure
from tap_cdp_export.messages import Lines
from tap_cdp_export.shutdown import SHUTDOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from multiprocessing.connection import Connection

Part: TypeAlias = "tuple[Lines, ...]"
"""Encoded records, for one stream or for several."""


class Item(NamedTuple):
    """What is encoded at once.

    Attributes:
        data: bytes that a process gets to see.
        place: where they are from, in a form of the function's own.
    """

    data: bytes
    place: tuple[int, ...] = ()


_CHILDREN: Final = 3
"""Two cores are busy while one of these waits for its turn."""

_TOO_LITTLE: Final = 256 * 1024
"""So many bytes are encoded sooner than a child has started."""

_SHARED_BYTES: Final = 32 * 2**20
"""So much an item, and what it becomes, may have; only what is used of it takes memory."""


def in_order(function: Callable[[Item], Iterable[Part]], items: Iterable[Item | Part]) -> Generator[Part]:
    """Encode items, in other processes once there is much of them.

    Args:
        function: encodes an item; depends on nothing else, and neither logs nor writes.
        items: what it is applied to; a part among them is passed on in its turn.

    Yields:
        The parts, in the order of the items; none of an item before all of them are there.

    Raises:
        LocalFailure: If the system ends one of the processes.
        Exception: Whatever `function` raises, in its item's turn.
    """
    waiting = iter(items)
    has_cores = _has_cores()
    done = 0
    for item in waiting:
        done += len(item.data) if isinstance(item, Item) else 0
        if has_cores and done > _TOO_LITTLE:
            waiting = chain([item], waiting)
            break
        yield from list(function(item)) if isinstance(item, Item) else [item]
    with ExitStack() as children:
        idle: deque[_Child] = deque()
        busy: deque[tuple[Item | Part, _Child | None]] = deque()

        def begin() -> None:
            for item in islice(waiting, 1):
                child = None
                if isinstance(item, Item) and len(item.data) <= _SHARED_BYTES:
                    child = idle.popleft() if idle else _begun(function, children)
                if isinstance(item, Item) and child:
                    child.ask(item)
                busy.append((item, child))

        for _ in range(_CHILDREN):
            begin()
        while busy:
            item, child = busy.popleft()
            if child:
                answer = child.answer()
                yield from list(function(cast("Item", item))) if answer is None else answer
                idle.append(child)
            else:
                yield from list(function(item)) if isinstance(item, Item) else [item]
            begin()


def _begun(function: Callable[[Item], Iterable[Part]], children: ExitStack) -> _Child | None:
    """Start a process, if the system has one to give."""
    try:
        return children.enter_context(_Child(function))
    except OSError:
        return None


def _has_cores() -> bool:
    """Tell whether a second process helps; where threads or libraries make forking unsafe, it does not."""
    return sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1


class _Child:
    """One process, which answers one item after the other; both sides see the memory that the bytes are in."""

    def __init__(self, function: Callable[[Item], Iterable[Part]]) -> None:
        self._function = function
        self._item = mmap.mmap(-1, _SHARED_BYTES)
        self._encoded = mmap.mmap(-1, _SHARED_BYTES)

    def __enter__(self) -> Self:
        questions, self._questions = multiprocessing.Pipe(duplex=False)
        self._answers, answers = multiprocessing.Pipe(duplex=False)
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
            gc.disable()  # nothing here refers to itself
            while True:
                size, place = questions.recv()
                try:
                    answers.send(self._encode(Item(self._item[:size], place)))
                except Exception:  # noqa: BLE001 -- the parent meets it again, and raises it
                    answers.send(None)
        except BaseException:  # noqa: BLE001, S110 -- nothing of the parent's way out may happen here
            pass
        finally:
            os._exit(0)

    def _encode(self, item: Item) -> list[list[tuple[int, int, int]]]:
        """Put what an item becomes into the shared memory; tell how many records are from where to where."""
        told: list[list[tuple[int, int, int]]] = []
        end = 0
        for part in self._function(item):
            told.append([])
            for lines in part:
                start, end = end, end + len(lines.data)
                self._encoded[start:end] = lines.data  # which fails where it is too much
                told[-1].append((lines.number, start, end))
        return told

    def ask(self, item: Item) -> None:
        self._item[: len(item.data)] = item.data
        with _alive():
            self._questions.send((len(item.data), item.place))

    def answer(self) -> Iterator[Part] | None:
        """Wait for the parts, which are there until the next question; None if there was trouble."""
        with SHUTDOWN.waiting(), _alive():
            told = self._answers.recv()
        if told is None:
            return None
        encoded = memoryview(self._encoded)
        return (tuple(Lines(number, encoded[start:end]) for number, start, end in part) for part in told)

    def __exit__(self, *_exception: object) -> None:
        self._questions.close()
        self._answers.close()
        os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)


@contextmanager
def _alive() -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError):
        raise LocalFailure(
            "The system ended a process of this run, most likely for want of memory. Give it more, or run it again."
        ) from None
