"""What all tables around the users have in common."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from tap_cdp_export.records.mapper import RecordMapper, any_time
from tap_cdp_export.singer.source import ExportSource
from tap_cdp_export.singer.stream import ExportStream
from tap_cdp_export.vendors.braze.api import BrazeApi

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_cdp_export.vendors.braze.tables.endpoint import Endpoint


class TableStream(ExportStream):
    """A stream that is offered on request, with an endpoint and a permission of its own.

    Attributes:
        endpoint: where its records come from.
        renamed: from a column's name to the vendor's, where they differ.
        own_columns: columns that the tap fills itself.
    """

    is_on_request = True
    endpoint: ClassVar[Endpoint]
    renamed: ClassVar[Mapping[str, str]] = {}
    own_columns: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, **options: Any) -> None:  # noqa: ANN401 -- as of any class
        """Take the permission of the endpoint, unless a stream needs further ones."""
        super().__init_subclass__(**options)
        if "permission" not in cls.__dict__ and "endpoint" in cls.__dict__:
            cls.permission = cls.endpoint.permission

    @cached_property
    def mapper(self) -> RecordMapper:
        """Makes records of the vendor's objects."""
        return RecordMapper(
            self.columns,
            tap_columns=self.own_columns,
            to_vendor_name=lambda column: self.renamed.get(column, column),
            time=any_time,
        )

    def record(self, fields: Mapping[str, Any], **own_columns: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON values
        """Make a record.

        Args:
            fields: the vendor's object.
            own_columns: values of the tap's own columns.

        Returns:
            The record, with every column.
        """
        return self.mapper.record(fields, own_columns)


class TableSource(ExportSource[BrazeApi]):
    """Reads one endpoint; each has a source of its own, so that a missing permission ends its streams alone."""

    def schema(self, stream: type[ExportStream]) -> dict[str, Any]:
        """Give a stream's JSON schema, described with the permission that it needs.

        Args:
            stream: one of this source's.

        Returns:
            The schema.
        """
        return {"description": stream.__doc__, **stream.columns}

    def check_access(self) -> None:
        """Check the key; the permissions of the tables are needed by those who select them only."""
        self.client.check_access()

    @property
    def parallel_requests(self) -> int:
        """How many requests of a stream are in flight at the same time, at most."""
        return int(self.settings["parallel_requests"])
