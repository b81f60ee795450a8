"""One long record takes a few times its size in memory; all shapes: `python -m tests.faults.long_records`."""

from __future__ import annotations

import sys

import pytest

from tests.faults.long_records import MOST_TIMES, measure

SIZE = 8_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "shape",
    [
        "user, JSON: many segments",
        "user, CSV: a cell with emoji",
        "profile: a text with emoji",
        "profile: many attributes",
    ],
)
def test_a_long_record_takes_a_few_times_its_size(shape: str) -> None:
    small, whole = measure(shape, 1_000), measure(shape, SIZE)
    assert (small.code, whole.code) == (0, 0)
    assert whole.peak - small.peak < (MOST_TIMES + 1) * SIZE  # what the allocator keeps weighs more here than at 20 MB
