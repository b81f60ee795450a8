"""Readings of weather stations: one request a station."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import typing as th

from tap_cdp_export.http.client import ApiRequest, Credentials, HttpClient, is_loopback
from tap_cdp_export.http.responses import read_object
from tap_cdp_export.records.batch import batch_of
from tap_cdp_export.records.mapper import RecordMapper
from tap_cdp_export.records.properties import EXTRA, key
from tap_cdp_export.singer.source import ExportSource
from tap_cdp_export.singer.stream import ExportStream

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests


class _Bearer(Credentials):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class WeatherClient:
    """Asks the API."""

    def __init__(self, settings: Mapping[str, Any], *, deadline_seconds: float) -> None:
        self._base_url = settings["base_url"]
        self._http = HttpClient(
            "Weather",
            _Bearer(settings["token"]),
            deadline_seconds=deadline_seconds,
            trust_environment=not is_loopback(self._base_url),
        )

    def reading(self, station: str) -> dict[str, Any]:
        """Read a station."""
        call = ApiRequest("GET", f"{self._base_url}/{station}", what=f"station {station}")
        return self._http.send(call, lambda _response, chunks: read_object(chunks))


class Readings(ExportStream):
    """Readings."""

    name = "weather_readings"
    columns: ClassVar[dict[str, Any]] = th.PropertiesList(
        key("station", "Name."), th.Property("degrees", th.NumberType, description="In the shade."), EXTRA
    ).to_dict()
    primary_keys: ClassVar[tuple[str, ...]] = ("station",)


class ReadingsSource(ExportSource[WeatherClient]):
    """Reads all stations."""

    def run(self) -> None:
        mapper = RecordMapper(Readings.columns, tap_columns=frozenset({"station"}))
        for stream in self.selected.values():
            for station in self.settings["stations"]:
                stream.write(batch_of([mapper.record(self.client.reading(station), {"station": station})]))
            stream.commit_window(None)
            stream.write_state()

    def check_access(self) -> None:
        self.client.reading(self.settings["stations"][0])
