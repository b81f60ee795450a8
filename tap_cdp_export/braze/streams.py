"""`braze_users`: one export for each segment, one after the other."""

from __future__ import annotations

from typing import Any, ClassVar

from tap_cdp_export.braze.archive import users
from tap_cdp_export.braze.client import BrazeExporter
from tap_cdp_export.braze.schemas import EXPORTABLE_FIELDS, OWN, USERS
from tap_cdp_export.exports.job import ExportRequest
from tap_cdp_export.exports.runner import ExportRunner, Patience
from tap_cdp_export.records import RecordShape, spelled_time
from tap_cdp_export.streams import ExportStream, Feed


class BrazeUsers(ExportStream):
    """The users of the configured segments: a full snapshot each run."""

    name = "braze_users"
    columns: ClassVar[dict[str, Any]] = USERS
    primary_keys: ClassVar[tuple[str, ...]] = ("segment_id", "braze_id")


class BrazeFeed(Feed):
    """Exports the segments one by one: the vendor allows one export of a segment at a time."""

    def run(self) -> None:
        """Export and emit every segment."""
        self._warn()
        shape = RecordShape(USERS, own=OWN, time=spelled_time)
        for stream in self.selected.values():
            runner = ExportRunner(self._exporter(), self._patience(), stream.record_job)
            if job := stream.job():
                stream.log(
                    "An export asked for at %s did not end in a whole run; it is asked for anew.",
                    job.asked_at,
                )
            for segment in dict.fromkeys(self.settings["segment_ids"]):
                request = ExportRequest(f"Braze segment {segment}", self._parameters(segment))
                with runner.export(request) as files:
                    for file in files:
                        for user in users(file):
                            stream.emit(shape.record(user, {"segment_id": segment}))
            stream.close_window(None)
            stream.write_state()

    def check_access(self) -> None:
        """List segments."""
        self._exporter().check_access()

    def _patience(self) -> Patience:
        return Patience.from_settings(self.settings)

    def _exporter(self) -> BrazeExporter:
        return BrazeExporter(self.settings, self._patience(), deadline_seconds=self.request_deadline())

    def _parameters(self, segment: str) -> dict[str, Any]:
        settings = self.settings
        fields = settings.get("fields_to_export", EXPORTABLE_FIELDS)
        optional = ("custom_attributes_to_export", "callback_endpoint")
        return {
            "segment_id": segment,
            "fields_to_export": list(dict.fromkeys(("braze_id", *fields))),
            "output_format": settings["output_format"],
            **{name: settings[name] for name in optional if name in settings},
        }

    def _warn(self) -> None:
        """Say what the vendor may not do as the settings expect."""
        fields = self.settings.get("fields_to_export", EXPORTABLE_FIELDS)
        for stream in self.selected.values():
            if unknown := sorted(set(fields) - set(EXPORTABLE_FIELDS)):
                stream.log("Not among the published fields, asked for all the same: %s.", ", ".join(unknown))
            if "custom_attributes_to_export" in self.settings and "custom_attributes" in fields:
                stream.log("custom_attributes_to_export has no effect while fields_to_export holds custom_attributes.")
