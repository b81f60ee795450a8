"""The DuckDB file: opening it, transactions, and errors that say what to do."""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb

from tap_cdp_export.errors import LocalFailure, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "memory_limit": "256MB",  # the cache would otherwise grow with the file
    "threads": 2,  # each has buffers of its own; more make no load faster
    "TimeZone": "UTC",  # for times without an offset
    "autoinstall_known_extensions": False,  # all that is needed is in the package
}
_OF_ANOTHER_SYSTEM: Final = re.compile(r"\w{2,}:")  # "s3://…", "md:…"; to DuckDB the name of an extension


class MoreMemoryNeeded(LocalFailure):
    """DuckDB has reached the limit of its memory; without the limit it may succeed."""


def local_file(path: str) -> Path:
    """Check that a path is that of a file, since DuckDB takes an empty one for a database in memory.

    Args:
        path: as the user has written it; `~` is the home folder.

    Returns:
        The path of the file, which need not exist.

    Raises:
        SettingsError: If the path is empty, of another system, or cannot be that of a file.
    """
    path = path.strip()
    if not path or path.lower().startswith(":memory:"):
        what = f"{path} is a database in memory" if path else "The path of the DuckDB file is empty"
        raise SettingsError(f"{what}: its rows would be lost at the end. Name a file in the setting path.")
    if prefix := _OF_ANOTHER_SYSTEM.match(path):
        raise SettingsError(
            f"The path of the DuckDB file begins with {prefix[0]}, but only a local file can be opened. "
            "Name one in the setting path (./ before a file name that begins so)."
        )
    try:
        if "\0" not in path and path.encode():
            return Path(path).expanduser()
    except (UnicodeEncodeError, RuntimeError):  # the latter: no such user
        pass
    raise SettingsError("The path of the DuckDB file cannot be that of a file. Name another in the setting path.")


@contextmanager
def opened(path: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the file, and create it and its folder if they do not exist.

    Args:
        path: of the file; see `local_file`.

    Yields:
        The connection.

    Raises:
        SettingsError: If the path is not that of a file, or the file is not a DuckDB file.
        LocalFailure: If it is in use, or cannot be opened.
    """
    file = local_file(path)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        database = duckdb.connect(str(file.absolute()), config=_CONFIG)
    except OSError as error:
        raise LocalFailure(f"The folder of {file} cannot be created: {error.strerror}.") from None
    except duckdb.Error as error:
        raise _not_opened(file, str(error)) from None
    try:
        database.execute("SET enable_progress_bar = false")  # it would stand among the states
        yield database
    finally:
        database.close()


def _not_opened(path: Path, reason: str) -> LocalFailure | SettingsError:
    if "lock" in reason:
        return LocalFailure(f"{path} is in use by another program. Close it there, then run again.")
    if "not a valid DuckDB" in reason or "version" in reason:
        return SettingsError(f"{path} is not a file of this version of DuckDB ({duckdb.__version__}).")
    return LocalFailure(f"{path} cannot be opened: {_first_line(reason)}")


@contextmanager
def transaction(database: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit what the block does, or nothing of it.

    Args:
        database: the connection.

    Yields:
        Nothing.

    Raises:
        MoreMemoryNeeded: If the limit of DuckDB's memory is reached.
        LocalFailure: If the disk is full, also where only COMMIT finds it so.
    """
    try:
        database.execute("BEGIN TRANSACTION")
        try:
            yield
            database.execute("COMMIT")
        except BaseException:
            _roll_back(database)
            raise
    except duckdb.OutOfMemoryException as error:
        raise MoreMemoryNeeded(f"DuckDB needs more memory: {_first_line(str(error))}") from None
    except (duckdb.IOException, duckdb.TransactionException, duckdb.FatalException) as error:  # the last two: COMMIT
        if "GZIP" in str(error):
            raise
        raise LocalFailure(f"DuckDB cannot write: {_first_line(str(error))}") from None


@contextmanager
def more_memory(database: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let DuckDB use as much memory as it does by default, until the block ends.

    Args:
        database: the connection, outside a transaction.

    Yields:
        Nothing.
    """
    database.execute("SET memory_limit = '80%'")
    try:
        yield
    finally:
        with suppress(duckdb.OutOfMemoryException):  # what is still in use may not fit into the limit
            database.execute(f"SET memory_limit = '{_CONFIG['memory_limit']}'")


def _roll_back(database: duckdb.DuckDBPyConnection) -> None:
    try:
        database.execute("ROLLBACK")
    except duckdb.Error:  # a failed COMMIT has rolled back already
        return


def _first_line(reason: str) -> str:
    return reason.partition("\n")[0]
