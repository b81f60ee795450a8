"""BATCH files of the plain tap: the SDK's own, or corrected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from singer_sdk.batch import Batcher
from singer_sdk.streams import Stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig
    from singer_sdk.helpers.types import Context


class Batched(Stream):
    """A stream whose BATCH files can hold the contents of its RECORD messages."""

    def get_batches(
        self, batch_config: BatchConfig, context: Context | None = None
    ) -> Iterable[tuple[BaseBatchFileEncoding, list[str]]]:
        """Write files as the SDK does; with `right_batches`, apply selection, conformance and stream maps first."""
        if not self.config["right_batches"]:
            yield from super().get_batches(batch_config, context)
            return
        batcher = Batcher(tap_name=self.tap_name, stream_name=self.name, batch_config=batch_config)
        sync = self._sync_records(context, write_messages=False)
        records = (message.record for record in sync for message in self._generate_record_messages(record))
        for manifest in batcher.get_batches(records=records):
            yield batch_config.encoding, manifest
