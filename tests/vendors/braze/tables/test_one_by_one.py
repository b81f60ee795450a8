"""Requests for many objects, of which the vendor refuses some or all."""

from __future__ import annotations

import logging

import pytest

from tap_cdp_export.errors import RequestRefused
from tap_cdp_export.vendors.braze.tables.one_by_one import OneByOne


class Objects:
    """Objects with numbers, most of which are refused.

    Attributes:
        asked: the numbers that were asked for, in order.
    """

    def __init__(self, number: int, kept: set[int]) -> None:
        self.numbers = range(number)
        self.asked: list[int] = []
        self._kept = kept

    def read(self) -> list[int]:
        """Ask for all of them."""
        requests = OneByOne("objects", 1)
        answers = [one for one, _ in requests.answers(self.numbers, self._fetch, str, lambda: self.numbers)]
        requests.check()
        return answers

    def _fetch(self, number: int) -> None:
        self.asked.append(number)
        if number not in self._kept:
            raise RequestRefused("The vendor says: no such object.", status=404)


@pytest.mark.parametrize("kept", [{0}, {500}, {999}])
def test_of_a_thousand_one_answer_is_enough(kept: set[int]) -> None:
    objects = Objects(1_000, kept)
    assert objects.read() == sorted(kept)
    assert len(objects.asked) <= 1_001
    assert len(set(objects.asked)) == 1_000


def test_of_many_more_those_of_every_age_are_tried() -> None:
    objects = Objects(2_100, set(range(700, 710)))
    assert len(objects.read()) == 10
    assert len(objects.asked) <= 2_101


@pytest.mark.parametrize(("number", "most"), [(1, 1), (19, 19), (20, 20), (20_000, 1_019)])
def test_if_all_are_refused_the_vendor_s_reason_comes_soon(number: int, most: int) -> None:
    objects = Objects(number, set())
    with pytest.raises(RequestRefused, match="no such object"):
        objects.read()
    assert len(objects.asked) == most


def test_of_many_refusals_the_first_are_warned_of_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    Objects(100, {0}).read()
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [text for text in warnings if "is passed over (404)" in text] == warnings[:20]
    assert warnings[20:] == ["objects: any others that are passed over are logged at the level DEBUG."]
    assert caplog.text.count("is passed over (404)") == 99
