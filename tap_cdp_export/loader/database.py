"""The DuckDB file: opening it, transactions, and errors that say what to do."""

from __future__ import annotations

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


class MoreMemoryNeeded(LocalFailure):
    """DuckDB has reached the limit of its memory; without the limit it may succeed."""


@contextmanager
def opened(path: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the file, and create it and its folder if they do not exist.

    Args:
        path: of the file.

    Yields:
        The connection.

    Raises:
        SettingsError: If the file is not a DuckDB file.
        LocalFailure: If it is in use, or cannot be opened.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        database = duckdb.connect(path, config=_CONFIG)
    except OSError as error:
        raise LocalFailure(f"The folder of {path} cannot be created: {error.strerror}.") from None
    except duckdb.Error as error:
        raise _not_opened(path, str(error)) from None
    try:
        database.execute("SET enable_progress_bar = false")  # it would stand among the states
        yield database
    finally:
        database.close()


def _not_opened(path: str, reason: str) -> LocalFailure | SettingsError:
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
