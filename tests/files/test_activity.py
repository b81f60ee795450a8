"""Phases and downloads are named while they last, and sizes and durations are written for people."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tap_cdp_export.errors import IncompleteAnswer
from tap_cdp_export.files.activity import ACTIVITY, Phase, size_text
from tap_cdp_export.files.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (103_464, "103.5 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (48e6, "48.0 MB"),
        (1.2e9, "1.2 GB"),
        (5e12, "5,000.0 GB"),
    ],
)
def test_a_size_has_one_decimal(size: float, text: str) -> None:
    assert size_text(size) == text


def test_an_inner_phase_hides_the_outer_one_while_it_lasts() -> None:
    seen: list[Phase | None] = []
    with ACTIVITY.during("waiting"):
        with suppress(KeyError), ACTIVITY.during("checking the file"):
            seen.append(ACTIVITY.phase)
            raise KeyError
        seen.append(ACTIVITY.phase)
    assert [phase and phase.text for phase in seen] == ["checking the file", "waiting"]
    assert ACTIVITY.phase is None


def test_a_phase_of_another_thread_is_not_shown() -> None:
    def check() -> None:
        with ACTIVITY.during("checking the file"):
            seen.append(ACTIVITY.phase)

    seen: list[object] = []
    thread = threading.Thread(target=check)
    thread.start()
    thread.join()
    assert seen == [None]


def test_a_download_is_shown_until_its_end() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"abc"
        (spool,) = ACTIVITY.downloads
        sizes.append((spool.size, spool.announced_size))
        yield b"de"

    sizes: list[tuple[int, int]] = []
    with Spool(chunks(), announced_size=5) as spool:
        assert (sizes, ACTIVITY.downloads) == ([(3, 5)], [])
        assert spool.position == 5
        spool.head(2)
        assert spool.position == 2
    assert spool.position == 5  # closed, so it has been read


def test_a_download_that_fails_is_over() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"abc"
        raise IncompleteAnswer("cut")

    with pytest.raises(IncompleteAnswer):
        Spool(chunks(), announced_size=0)
    assert ACTIVITY.downloads == []


def test_what_is_no_download_is_not_shown() -> None:
    def chunks() -> Iterator[bytes]:
        shown.append(len(ACTIVITY.downloads))
        yield b"abc"

    shown: list[int] = []
    Spool(chunks()).close()
    assert shown == [0]
