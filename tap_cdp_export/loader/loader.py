"""The command `tap-cdp-export-duckdb`: target-duckdb with a patch for empty strings in keys.

target-duckdb 0.8.0 loads an empty string as NULL, and then fails if the column is a key. It also lets DuckDB guess
whether the first row of a batch is a header. This command replaces the COPY statement of that target. Meltano runs it
in the virtual environment of the target.
"""

from __future__ import annotations

import csv
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

import target_duckdb  # type: ignore[import-untyped]
from target_duckdb.db_sync import DbSync, primary_column_names  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterable

_connect = target_duckdb.duckdb_connect


def main() -> None:
    """Load Singer messages from stdin into the database that is configured in the file passed as `--config`."""
    DbSync.load_rows = load_rows
    target_duckdb.duckdb_connect = connect
    target_duckdb.main()


def connect(config: dict[str, Any]) -> Any:  # noqa: ANN401 -- a connection; target_duckdb has no type hints
    """Open the database, and create its folder if it does not exist.

    Args:
        config: settings of the target.

    Returns:
        The connection.
    """
    Path(config["path"]).parent.mkdir(parents=True, exist_ok=True)
    return _connect(config)


def load_rows(sync: DbSync, records: Iterable[dict[str, Any]], count: int, temp_dir: str) -> None:
    """Upsert a batch of records; empty strings in keys are kept, and the first row is never taken as a header.

    Args:
        sync: the target's object for the stream.
        records: the records, with unique keys.
        count: number of records.
        temp_dir: folder for the temporary CSV file.
    """
    message = sync.stream_schema_message
    sync.logger.info("Loading %d rows into %s", count, sync.table_name(message["stream"]))
    batch = sync.table_name(message["stream"], is_temporary=True)
    options = "auto_detect false, header false, delim ',', quote '\"', escape '\"', new_line '\\r\\n'"
    if keys := primary_column_names(message):
        options += f", force_not_null ({', '.join(keys)})"
    with NamedTemporaryFile("w", dir=temp_dir, suffix=".csv", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(map(sync.record_to_flattened, records))
        file.flush()
        sync.conn.execute(sync.create_table_query(table_name=batch, is_temporary=True))
        sync.conn.execute(f"COPY {batch} FROM '{file.name}' ({options})")
    if keys and (update := sync.update_from_temp_table(batch)):
        sync.conn.execute(update)
    sync.conn.execute(sync.insert_from_temp_table(batch))
    sync.conn.execute(f"DROP TABLE {batch}")
