"""Only names that tools give to files beside the data are passed over."""

from __future__ import annotations

import pytest

from tap_cdp_export.files.side_files import is_side_file


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("__MACOSX/users.txt", True),
        ("a/__MACOSX/._users.txt", True),
        ("._users.txt", True),
        ("a/.DS_Store", True),
        ("a/_SUCCESS", True),
        ("users.txt", False),
        ("__MACOSX", False),
        ("a/_SUCCESS.txt", False),
        ("_success", False),
        ("_SUCCESS/users.txt", False),
        (".hidden", False),
    ],
)
def test_a_file_is_passed_over_only_by_an_exact_name(path: str, *, is_one: bool) -> None:
    assert is_side_file(path) is is_one
