"""Recognise files that tools leave beside the data, by their names."""

from __future__ import annotations

from typing import Final

_FOLDER: Final = "__MACOSX"
_NAMES: Final = frozenset({".DS_Store", "_SUCCESS"})
_RESOURCE_FORK: Final = "._"


def is_side_file(path: str) -> bool:
    """Return whether a file is none of the vendor's data: archivers and Spark jobs write such files.

    Args:
        path: path of a file in an archive or a bucket, such as `__MACOSX/._users.txt` or `part/_SUCCESS`.
    """
    *folders, name = path.split("/")
    return _FOLDER in folders or name in _NAMES or name.startswith(_RESOURCE_FORK)
