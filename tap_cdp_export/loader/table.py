"""A stream's table: its columns, and the statements that load records into it."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Final, NamedTuple

from tap_cdp_export.loader.columns import SPELLINGS, TEXT, columns_of, widened
from tap_cdp_export.loader.errors import UnusableInput
from tap_cdp_export.loader.exactness import check_large
from tap_cdp_export.loader.statements import listed, quoted, read_records, value_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from typing import Any

    import duckdb

    from tap_cdp_export.loader.sources import Source

VERSION: Final = "_sdc_table_version"
DELETED: Final = "_sdc_deleted_at"
METADATA: Final = {
    "_sdc_extracted_at": "TIMESTAMP",
    "_sdc_received_at": "TIMESTAMP",
    "_sdc_batched_at": "TIMESTAMP",
    DELETED: "TIMESTAMP",
    "_sdc_sequence": "BIGINT",
    VERSION: "BIGINT",
}


class Times(NamedTuple):
    """Times of a batch, in UTC without a zone.

    Attributes:
        received: when its first message arrived.
        batched: when it is loaded.
    """

    received: datetime
    batched: datetime


class Table:
    """The table of a stream.

    Attributes:
        rounded: names of the columns of which a warning has said that numbers are rounded.
    """

    def __init__(
        self,
        database: duckdb.DuckDBPyConnection,
        config: Mapping[str, Any],
        stream: str,
        schema: Mapping[str, Any],
        keys: Sequence[str],
    ) -> None:
        """Create the table, or add and widen columns of the existing one; within a transaction.

        Args:
            database: the connection.
            config: the settings of the target.
            stream: name of the stream, and of the table.
            schema: schema of its records.
            keys: names of the properties that identify a record; without any, records are appended.

        Raises:
            UnusableInput: If the schema cannot be that of a table, or the existing table has another key.
        """
        schema_name: str = config["default_target_schema"]
        self.stream = stream
        self.keys = list(dict.fromkeys(keys))
        self.properties = columns_of(stream, schema)
        ((catalog,),) = database.execute(
            "SELECT current_database()"
        ).fetchall()  # the file's name, and perhaps the schema's
        self._schema = f"{quoted(catalog)}.{quoted(schema_name)}"
        self.name = f"{self._schema}.{quoted(stream)}"
        self.has_unversioned_rows = False
        self.rounded: set[str] = set()
        self._database = database
        self._place = [schema_name, stream]
        self._hard_delete: bool = config["hard_delete"]
        if missing := [key for key in self.keys if key not in self.properties]:
            raise UnusableInput(
                f"The key of {self.stream} names properties that it does not have: {', '.join(missing)}."
            )
        database.execute(f"CREATE SCHEMA IF NOT EXISTS {self._schema}")
        self.columns = self._existing_columns()
        self._own_names = {name.lower() for name in self.properties}
        metadata = {name: column_type for name, column_type in METADATA.items() if name not in self._own_names}
        wanted = {**self.properties, **(metadata if config["add_metadata_columns"] else {})}
        if self.columns:
            self._check_key()
            self._adapt(wanted)
        else:
            self._create(self.name, wanted)
            self.columns = {name.lower(): column_type for name, column_type in wanted.items()}

    def _existing_columns(self) -> dict[str, str]:
        rows = self._database.execute(
            "SELECT lower(column_name), data_type FROM duckdb_columns() WHERE database_name = current_database()"
            " AND lower(schema_name) = lower(?) AND lower(table_name) = lower(?) ORDER BY column_index",
            self._place,
        )
        return dict(rows.fetchall())

    def _create(self, name: str, columns: Mapping[str, str]) -> None:
        parts = [f"{quoted(column)} {column_type}" for column, column_type in columns.items()]
        if self.keys:
            parts.append(f"PRIMARY KEY ({listed(self.keys)})")
        self._database.execute(f"CREATE TABLE {name} ({', '.join(parts)})")

    def _check_key(self) -> None:
        """Refuse a table with another key: rows would be doubled or overwritten."""
        row = self._database.execute(
            "SELECT constraint_column_names FROM duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY'"
            " AND database_name = current_database()"
            " AND lower(schema_name) = lower(?) AND lower(table_name) = lower(?)",
            self._place,
        ).fetchone()
        existing = row[0] if row else []
        if {key.lower() for key in existing} != {key.lower() for key in self.keys}:
            raise UnusableInput(
                f"The key of {self.stream} is ({', '.join(self.keys)}), but that of its table is "
                f"({', '.join(existing)}). Rename or drop the table {self.name}, and load it anew."
            )

    def _adapt(self, wanted: Mapping[str, str]) -> None:
        """Add the missing columns, and widen those that cannot hold the values to come."""
        rebuilt = {}
        for name, column_type in wanted.items():
            existing = self.columns.get(name.lower())
            if existing is None:
                self.require(name, column_type)
            elif (wide := widened(existing, column_type)) != existing:
                self._check_exact(name, existing, wide)
                if name in self.keys:
                    self._check_spelling(name, existing, wide)
                    rebuilt[name.lower()] = wide
                else:
                    self._database.execute(f"ALTER TABLE {self.name} ALTER COLUMN {quoted(name)} TYPE {wide}")
                self.columns[name.lower()] = wide
        if rebuilt:
            self._rebuild(rebuilt)

    def _check_exact(self, name: str, existing: str, wide: str) -> None:
        """Refuse to change integers into DOUBLE if a value would change."""
        if existing in {"BIGINT", "HUGEINT"} and wide == "DOUBLE":
            column = quoted(name)
            changed = f"{column}::DOUBLE::HUGEINT IS DISTINCT FROM {column}::HUGEINT"
            row = self._database.execute(f"SELECT count(*) FROM {self.name} WHERE {changed}").fetchone()  # noqa: S608 -- names are quoted
            if row and row[0]:
                raise UnusableInput(
                    f"{self.stream}.{name} changes from integer to number, but {row[0]} rows hold integers "
                    "that a number (DOUBLE) would round. Rename or drop the table, and load it anew."
                )

    def _check_spelling(self, key: str, existing: str, wide: str) -> None:
        """Refuse to change a key into text if its values may have been written differently: rows would be doubled."""
        if existing in SPELLINGS and wide == TEXT:
            row = self._database.execute(f"SELECT count(*) FROM {self.name}").fetchone()  # noqa: S608 -- names are quoted
            if row and row[0]:
                raise UnusableInput(
                    f"{self.stream}.{key}, which is part of the key, changes from {existing} to text. Rows that are "
                    f"there ({row[0]}) may be written differently as text, and would come twice. "
                    "Rename or drop the table, and load it anew."
                )

    def _rebuild(self, changed: Mapping[str, str]) -> None:
        """Copy the table with other types: DuckDB does not change the type of a key in place."""
        copy = f"{self._schema}.{quoted(f'{self.stream}__rebuilt')}"
        described = self._database.execute(f"DESCRIBE {self.name}").fetchall()
        self._create(copy, {name: changed.get(name.lower(), old_type) for name, old_type, *_ in described})
        self._database.execute(f"INSERT INTO {copy} BY NAME SELECT * FROM {self.name}")  # noqa: S608 -- names are quoted
        self._database.execute(f"DROP TABLE {self.name}")
        self._database.execute(f"ALTER TABLE {copy} RENAME TO {quoted(self.stream)}")

    def require(self, name: str, column_type: str) -> None:
        """Add a column unless the table has it.

        Args:
            name: of the column.
            column_type: its type.
        """
        if name.lower() not in self.columns:
            self._database.execute(f"ALTER TABLE {self.name} ADD COLUMN {quoted(name)} {column_type}")
            self.columns[name.lower()] = column_type

    @property
    def read_columns(self) -> dict[str, str]:
        """Name and type of the properties, as the table has them."""
        return {name: self.columns[name.lower()] for name in self.properties}

    def load(self, sources: Sequence[Source], times: Times) -> int:
        """Load records in the order of their arrival; within a transaction.

        Args:
            sources: the records.
            times: for the metadata columns.

        Returns:
            The number of records.

        Raises:
            UnusableInput: If a record has no value in a key column, or one that would be changed.
        """
        self.columns = self._existing_columns()  # a load that was rolled back may have added some
        aliases = {name: f"c{index}" for index, name in enumerate(self.properties)}
        parts = ", ".join(f"{aliases[name]} {column_type}" for name, column_type in self.read_columns.items())
        self._database.execute(f"CREATE OR REPLACE TEMP TABLE batch ({parts}, version BIGINT, extracted TIMESTAMP)")
        for source in sources:
            with source.opened() as (path, largest):
                self._database.execute(f"INSERT INTO batch {self._select(source, path, largest)}")
        count = self._check_batch(aliases)
        check_large(self._database, self, aliases, sources)
        values = dict(aliases)
        parameters: dict[str, Any] = {}
        for name, value, parameter in self._metadata(times):
            if name in self.columns and name not in self._own_names:
                values[name] = value
                parameters |= parameter
        self._upsert(values, aliases, parameters)
        self._database.execute("DROP TABLE batch")
        if self._hard_delete and DELETED in self._own_names:
            self._database.execute(f"DELETE FROM {self.name} WHERE {quoted(DELETED)} IS NOT NULL")  # noqa: S608 -- names are quoted
        return count

    def _select(self, source: Source, path: str, largest: int) -> str:
        values = ", ".join(value_of(name, column_type) for name, column_type in self.read_columns.items())
        records = read_records(source, path, largest, self.read_columns)
        condition = "CASE WHEN record IS NULL THEN error('no record') ELSE true END"
        return f"SELECT {values}, version, timezone('UTC', time_extracted) FROM {records} WHERE {condition}"  # noqa: S608 -- names are quoted

    def _check_batch(self, aliases: Mapping[str, str]) -> int:
        """Check the keys, and add the column of versions if records have one."""
        counts = ", ".join(["count(*)", "count(version)", *(f"count({aliases[key]})" for key in self.keys)])
        rows, versioned, *present = self._database.execute(f"SELECT {counts} FROM batch").fetchone() or ()  # noqa: S608 -- our names
        for key, number in zip(self.keys, present, strict=True):
            if number < rows:
                raise UnusableInput(
                    f"{rows - number} records of {self.stream} have no {key}, which is part of the key."
                )
        if versioned:
            self.require(VERSION, METADATA[VERSION])
        self.has_unversioned_rows |= versioned < rows
        return int(rows)

    @staticmethod
    def _metadata(times: Times) -> list[tuple[str, str, dict[str, Any]]]:
        """Return name, expression and parameters of each metadata column."""
        sequence = int(times.batched.replace(tzinfo=UTC).timestamp() * 1000)
        return [
            ("_sdc_extracted_at", "extracted", {}),
            ("_sdc_received_at", "$received", {"received": times.received}),
            ("_sdc_batched_at", "$batched", {"batched": times.batched}),
            (DELETED, "NULL", {}),
            ("_sdc_sequence", "$sequence", {"sequence": sequence}),
            (VERSION, "version", {}),
        ]

    def _upsert(self, values: Mapping[str, str], aliases: Mapping[str, str], parameters: dict[str, Any]) -> None:
        statement = f"INSERT INTO {self.name} ({listed(values)}) SELECT {', '.join(values.values())} FROM batch"  # noqa: S608 -- names are quoted
        if self.keys:
            keys = ", ".join(aliases[key] for key in self.keys)
            changes = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in values if name not in self.keys)
            statement += f" WHERE rowid IN (SELECT max(rowid) FROM batch GROUP BY {keys})"  # noqa: S608 -- our names
            statement += f" ON CONFLICT ({listed(self.keys)}) DO " + (f"UPDATE SET {changes}" if changes else "NOTHING")
        self._database.execute(statement, parameters or None)

    def activate(self, version: int, now: datetime) -> int | None:
        """Delete the rows of earlier versions, or mark them; within a transaction.

        Args:
            version: the current version.
            now: for the mark, in UTC without a zone.

        Returns:
            How many rows were deleted or marked; None if nothing was done, because this run has loaded records
            without a version.
        """
        if self.has_unversioned_rows:
            return None
        self.require(VERSION, METADATA[VERSION])
        old = f"({quoted(VERSION)} IS NULL OR {quoted(VERSION)} < $version)"
        parameters: dict[str, Any] = {"version": version}
        if self._hard_delete:
            statement = f"DELETE FROM {self.name} WHERE {old}"  # noqa: S608 -- names are quoted
        else:
            self.require(DELETED, METADATA[DELETED])
            mark = quoted(DELETED)
            statement = f"UPDATE {self.name} SET {mark} = $now WHERE {old} AND {mark} IS NULL"  # noqa: S608 -- names are quoted
            parameters["now"] = now
        row = self._database.execute(statement, parameters).fetchone()
        return int(row[0]) if row else 0
