"""`user_segments`: the members of segments, one series of pages for each dataset and segment."""

from __future__ import annotations

import logging
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final

from tap_cdp_export.errors import RequestRefused, SettingsError
from tap_cdp_export.records.mapper import camel_case
from tap_cdp_export.singer.parts import Part
from tap_cdp_export.singer.stream import ExportStream
from tap_cdp_export.vendors.personalization.schemas import USER_SEGMENTS, USERS
from tap_cdp_export.vendors.personalization.streams import PersonalizationSource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

logger = logging.getLogger(__name__)

_FILTERS: Final = {"filter", "segmentId", "segmentationId"}


class UserSegments(ExportStream):
    """Who is in which segment, and since when; the users themselves are in `users`."""

    name = "user_segments"
    permission = "Can access API"
    columns: ClassVar[dict[str, Any]] = USER_SEGMENTS
    primary_keys: ClassVar[tuple[str, ...]] = ("dataset_id", "segment", "name")
    is_on_request = True


class UserSegmentsSource(PersonalizationSource):
    """Reads the members of the configured segments."""

    ignored: ClassVar[frozenset[str]] = frozenset(
        camel_case(name) for name in USERS["properties"].keys() - USER_SEGMENTS["properties"].keys()
    )

    @property
    def kind(self) -> str:
        """What the pages hold."""
        return "users"

    def validate(self) -> None:
        """Check STATE, and whether there is a segment to read."""
        for stream in self.selected.values():
            stream.check()
            if "segments" not in self.settings:
                raise SettingsError(
                    f"Setting personalization.segments is missing: {stream.name} needs at least one segment, and the "
                    "vendor lists none. Name them, or deselect the stream."
                )
            if overriding := sorted(_FILTERS & self.settings["extra_params"].keys()):
                raise SettingsError(
                    f"Setting personalization.extra_params holds {' and '.join(overriding)}, which would override the "
                    f"segments that {stream.name} reads. Remove it, or deselect the stream."
                )

    def parts(self, length: timedelta | None) -> Iterator[Part]:  # noqa: ARG002 -- times choose no records
        """Do not divide the work: a segment that one dataset does not know is an error only if no other knows it.

        Args:
            length: not used.

        Yields:
            One part.
        """
        yield Part("tables", tuple(self.selected))

    def run(self) -> None:
        """Read every segment of every dataset."""
        for stream in self.selected.values():
            segments, datasets = self.settings["segments"], self.settings["dataset_ids"]
            logger.warning(
                "%s: each member of %d segments in %d datasets is one more exported user, "
                "which the vendor counts against the volume of the contract.",
                stream.name,
                len(segments),
                len(datasets),
            )
            for segment in segments:
                self._read_segment(stream, segment)
            stream.commit_window(None)
            stream.write_state()

    def _read_segment(self, stream: ExportStream, segment: str) -> None:
        """Read a segment in all datasets; it belongs to one of them, so that others may not know it."""
        refusals: list[RequestRefused] = []
        for dataset in self.settings["dataset_ids"]:
            request = partial(
                self.client.page,
                self.kind,
                dataset,
                None,
                page_size=self.settings["page_size"],
                segment=segment,
            )
            try:
                self.read_pages(stream, dataset, {"dataset_id": dataset, "segment": segment}, request)
            except RequestRefused as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise
                refusals.append(error)
        if len(refusals) == len(self.settings["dataset_ids"]):
            raise refusals[0]
        for refusal in refusals:
            stream.suppress_activate_version()  # nothing proves that the vendor meant the segment
            logger.warning("%s: %s Passed over, as another dataset knows the segment.", stream.name, refusal)
