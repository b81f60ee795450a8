"""The page of errors is what the tap says, and every line of it is fit to be shown."""

from __future__ import annotations

import re

from tests.write_errors import PAGE, SECRET, table


def test_the_page_is_up_to_date_and_shows_no_secret() -> None:
    page = table()
    assert page == PAGE.read_text(), "run python -m tests.write_errors"
    rows = [line for line in page.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 9 * 15 + 3 - 2  # a cancellation takes two of the answers for a success
    for row in rows:
        assert re.search(r"\(exit 1[0-6]\) \|$", row), row
    for hidden in (SECRET, "canary", "anna"):
        assert hidden not in page
