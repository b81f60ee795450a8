"""`users` and `accounts`: page by page, in order, until an empty page."""

from __future__ import annotations

import itertools
import logging
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from tap_cdp_export.errors import CdpExportError, RequestRefused, SettingsError
from tap_cdp_export.files.compression import drain
from tap_cdp_export.files.spool import Spool
from tap_cdp_export.records.json_decoder import JsonRecordDecoder
from tap_cdp_export.records.mapper import RecordMapper, camel_case
from tap_cdp_export.singer.parts import Part
from tap_cdp_export.singer.source import ExportSource
from tap_cdp_export.singer.stream import ExportStream
from tap_cdp_export.vendors.personalization.client import PersonalizationClient
from tap_cdp_export.vendors.personalization.csv_decoder import CsvPageDecoder
from tap_cdp_export.vendors.personalization.csv_pages import KEY_ALIASES, CsvPages
from tap_cdp_export.vendors.personalization.pages import JsonPageDecoder, Pages
from tap_cdp_export.vendors.personalization.schemas import ACCOUNTS, TAP_COLUMNS, USERS
from tap_cdp_export.windows import Window, time_text, whole_second

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tap_cdp_export.vendors.personalization.pages import PageDecoder

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Users(ExportStream):
    """Users, with the engagement of the last days, or of the time since the last run where that is longer."""

    name = "users"
    permission = "Can access API"
    columns: ClassVar[dict[str, Any]] = USERS
    primary_keys: ClassVar[tuple[str, ...]] = ("dataset_id", "name")
    replication_key = "window_end"


class Accounts(ExportStream):
    """Companies, with the engagement of the last days, or of the time since the last run where that is longer."""

    name = "accounts"
    permission = "Can access API"
    columns: ClassVar[dict[str, Any]] = ACCOUNTS
    primary_keys: ClassVar[tuple[str, ...]] = ("dataset_id", "name")
    replication_key = "window_end"


class PersonalizationSource(ExportSource[PersonalizationClient]):
    """Fills one stream: users and accounts are read apart.

    Attributes:
        ignored: the vendor's names of fields that another stream holds.
    """

    ignored: ClassVar[frozenset[str]] = frozenset()

    @property
    def kind(self) -> str:
        """What the pages hold, `users` or `accounts`."""
        return self.streams[0].name

    def validate(self) -> None:
        """Check STATE, and whether the window has a start."""
        super().validate()
        for stream in self.selected.values():
            self._window(stream)

    def parts(self, length: timedelta | None) -> Iterator[Part]:  # noqa: ARG002 -- times choose no records
        """Divide the work by dataset.

        Args:
            length: not used.

        Yields:
            A part for each dataset.
        """
        for dataset in self.settings["dataset_ids"]:
            yield Part(f"dataset-{dataset}", tuple(self.selected), {"dataset_ids": [dataset]})

    def run(self) -> None:
        """Read all datasets once, for one window that ends now."""
        for stream in self.selected.values():
            window = self._window(stream)
            if window is None:
                stream.log("Nothing to ask for: the bookmark has reached end_date.")
                continue
            for dataset in self.settings["dataset_ids"]:
                self._read_dataset(stream, dataset, window)
            stream.commit_window(window)
            stream.write_state()

    def _window(self, stream: ExportStream) -> Window | None:
        """Choose the window of the statistics; None if nothing is new.

        It selects no records, and an upsert replaces older scores: so it is never shorter than `statistics_days`.
        """
        end = self.end()
        bookmark = stream.bookmark()
        if bookmark and bookmark >= end:
            return None
        starts = [bookmark or self.start_date()]
        if self.settings["statistics_days"]:
            starts.append(whole_second(end - timedelta(days=self.settings["statistics_days"])))
        known = [start for start in starts if start]
        if not known:
            raise SettingsError(
                f"Setting start_date is missing: {stream.name} needs it on its first run if statistics_days is 0."
            )
        return Window(min(known), end) if min(known) < end else None

    def check_access(self) -> None:
        """Read one record of the first dataset: these requests start no job."""
        dataset = self.settings["dataset_ids"][0]
        with (
            self._missing_accounts_allowed(self.streams[0], dataset),
            self.client.page(self.kind, dataset, None, page=0, page_size=1) as body,
        ):
            drain(self._decoder(self.streams[0], dict.fromkeys(TAP_COLUMNS)).decode(body))

    @contextmanager
    def _missing_accounts_allowed(self, stream: ExportStream, dataset: str) -> Iterator[None]:
        """Take a refusal of accounts for the retirement of the feature, where the settings say so."""
        try:
            yield
        except CdpExportError as error:
            is_retirement = stream.name == "accounts" and error.status in {403, 404}
            if not is_retirement or self.settings["accounts_missing"] != "warn":
                raise
            with self.client.page("users", dataset, None, page=0, page_size=1):  # fails if it is the dataset or the key
                pass
            stream.suppress_activate_version()
            logger.warning(
                "accounts: the vendor answered %d; taken for the retirement of account profiles, so there are none.%s "
                "Deselect accounts to silence this, or set accounts_missing to error.",
                error.status,
                error.reason,
            )

    def _read_dataset(self, stream: ExportStream, dataset: str, window: Window) -> None:
        client = self.client
        tap_columns = {"dataset_id": dataset, **client.window_columns(window)}
        request = partial(client.page, self.kind, dataset, window, page_size=self.settings["page_size"])
        logger.info(
            "%s of dataset %s: requesting pages, with the statistics of %s to %s.",
            stream.name,
            dataset,
            time_text(window.start),
            time_text(window.end),
        )
        self.read_pages(stream, dataset, tap_columns, request)

    def read_pages(
        self, stream: ExportStream, dataset: str, tap_columns: Mapping[str, str | None], request: Callable[..., Spool]
    ) -> None:
        """Read pages until an empty one, and write their records.

        Args:
            stream: the stream.
            dataset: name or ID of the dataset.
            tap_columns: values of the tap's own columns.
            request: reads a page, by its number `page`; called in a thread of its own.
        """

        def fetch(number: int) -> Spool:
            try:
                return request(page=number)
            except RequestRefused as error:
                if error.status != HTTPStatus.NOT_FOUND or not number:
                    raise
            try:  # once more, as a single 404 may be a gateway's
                return request(page=number)
            except RequestRefused as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise
                stream.suppress_activate_version()  # nothing proves that it was the end
                logger.warning(
                    "%s: the vendor answered 404 twice to page %d of dataset %s; taken for the end, as page %d came.%s",
                    stream.name,
                    number,
                    dataset,
                    number - 1,
                    error.reason,
                )
                return Spool.of(decoder.empty_page)

        decoder = self._decoder(stream, tap_columns)
        what = f"{stream.name} of dataset {dataset}"
        pages = Pages(what, fetch, decoder, are_numbered=bool(self.settings["page_size"]))
        with self.writing(what, detail=lambda: f"{pages.number:,} page{'s' * (pages.number != 1)}", streams=[stream]):
            for records in self._first_allowed_to_fail(stream, dataset, pages.records_of(stream)):
                stream.write(records)

    def _first_allowed_to_fail(self, stream: ExportStream, dataset: str, found: Iterator[T]) -> Iterator[T]:
        """Take a refusal for a retirement only before anything has come."""
        first: list[T] = []
        with self._missing_accounts_allowed(stream, dataset):
            first = list(itertools.islice(found, 1))
        return itertools.chain(first, found)

    def _decoder(self, stream: ExportStream, tap_columns: Mapping[str, str | None]) -> PageDecoder:
        mapper = RecordMapper(stream.columns, tap_columns=TAP_COLUMNS, to_vendor_name=camel_case, ignored=self.ignored)
        if self.settings["format"] == "csv":
            pages = CsvPages(
                self.kind,
                ACCOUNTS if self.kind == "accounts" else USERS,
                self.settings.get("csv_list_separator"),
                delimiter=self.settings["csv_delimiter"],
            )
            return CsvPageDecoder(pages, mapper, tap_columns, stream.selected_columns)
        return JsonPageDecoder(
            JsonRecordDecoder(
                mapper, tap_columns, stream.selected_columns, required="name", aliases=KEY_ALIASES[self.kind]
            )
        )
