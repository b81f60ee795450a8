"""The decoder of every stream gives the records of a plain one, or refuses alike, whatever bytes come.

The fault campaign C6 reads a hundred thousand such inputs; these are its first ones.
"""

from __future__ import annotations

import pytest

from tests.faults.reader_fuzz import judged


@pytest.mark.parametrize("hundred", range(10))
def test_decoders_give_the_records_of_plain_ones_or_refuse_alike(hundred: int) -> None:
    problems = {number: judged(number) for number in range(100 * hundred, 100 * hundred + 100)}
    assert {number: problem for number, problem in problems.items() if problem} == {}
