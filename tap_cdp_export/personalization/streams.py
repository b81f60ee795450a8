"""`users` and `accounts`: page by page, in order, until an empty page."""

from __future__ import annotations

import hashlib
import itertools
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import msgspec

from tap_cdp_export import json_text
from tap_cdp_export.errors import CdpExportError, UnusableAnswer
from tap_cdp_export.exports.json_members import ARRAY_OF_OBJECTS, runs
from tap_cdp_export.exports.readers import contents, proven
from tap_cdp_export.feeds import Feed
from tap_cdp_export.personalization.client import PersonalizationClient
from tap_cdp_export.personalization.csv_pages import CsvPages
from tap_cdp_export.personalization.schemas import ACCOUNTS, OWN, USERS
from tap_cdp_export.records import RecordShape, camel_case
from tap_cdp_export.streams import ExportStream
from tap_cdp_export.typed_runs import Lines, TypedRuns
from tap_cdp_export.windows import Window, time_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tap_cdp_export.exports.spool import Spool


logger = logging.getLogger(__name__)

_page = msgspec.json.Decoder(list[dict[str, Any]])


Run: TypeAlias = "list[dict[str, Any]] | Lines"
"""A part of a page: the vendor's objects, or their records encoded already."""


class _JsonPages:
    """Reads pages, run by run: encoded at once where nothing must see a record, else object by object."""

    def __init__(self, fast: TypedRuns | None) -> None:
        self._fast = fast

    def runs(self, page: Spool) -> Iterator[Run]:
        return runs(contents(page), ARRAY_OF_OBJECTS, self._decode)

    def _decode(self, run: bytes) -> Run:
        if self._fast:
            try:
                return self._fast.lines(run)
            except msgspec.ValidationError:
                objects = json_text.shallow(_page.decode(run))
                self._fast.learn(objects)
                return objects
        return json_text.shallow(_page.decode(run))


class Users(ExportStream):
    """Users, with the engagement of the time since the last run."""

    name = "users"
    columns: ClassVar[dict[str, Any]] = USERS
    primary_keys: ClassVar[tuple[str, ...]] = ("dataset_id", "name")
    replication_key = "window_end"


class Accounts(ExportStream):
    """Companies, with the engagement of the time since the last run."""

    name = "accounts"
    columns: ClassVar[dict[str, Any]] = ACCOUNTS
    primary_keys: ClassVar[tuple[str, ...]] = ("dataset_id", "name")
    replication_key = "window_end"


class PersonalizationFeed(Feed):
    """Fills one of the two streams: they are read apart."""

    def run(self) -> None:
        """Read all datasets once, for one window from the bookmark to now."""
        for stream in self.selected.values():
            window = Window(self.start_of(stream), self.end())
            if window.start >= window.end:
                stream.log("Nothing to ask for: the bookmark has reached end_date.")
                continue
            for dataset in self.settings["dataset_ids"]:
                self._read_dataset(stream, dataset, window)
            stream.close_window(window)
            stream.write_state()

    def check_access(self) -> None:
        """Read one record of the first dataset: these requests start no job."""
        kind = self.streams[0].name
        dataset = self.settings["dataset_ids"][0]
        with (
            self._missing_accounts_allowed(self.streams[0]),
            self._client().page(kind, dataset, None, page=0, page_size=1) as body,
        ):
            list(self._reader(self.streams[0], {})(body))

    @contextmanager
    def _missing_accounts_allowed(self, stream: ExportStream) -> Iterator[None]:
        """Take a refusal of accounts for the retirement of the feature, where the settings say so."""
        try:
            yield
        except CdpExportError as error:
            is_retirement = stream.name == "accounts" and error.status in {403, 404}
            if not is_retirement or self.settings["accounts_missing"] != "warn":
                raise
            stream.keep_older_rows()
            logger.warning(
                "accounts: the vendor answered %d; taken for the retirement of account profiles, so there are none. "
                "Deselect accounts to silence this, or set accounts_missing to error.",
                error.status,
            )

    def _client(self) -> PersonalizationClient:
        return PersonalizationClient(self.settings, deadline_seconds=self.request_deadline())

    def _read_dataset(self, stream: ExportStream, dataset: str, window: Window) -> None:
        shape = RecordShape(stream.columns, own=OWN, spell=camel_case)
        own = {
            "dataset_id": dataset,
            "window_start": time_text(window.start),
            "window_end": time_text(window.end),
        }
        found = self._runs(stream, dataset, window, self._reader(stream, own))
        first: list[Run] = []
        with self._missing_accounts_allowed(stream):  # a refusal behind the first record is no retirement
            first = list(itertools.islice(found, 1))
        number = 0
        for run in itertools.chain(first, found):
            if isinstance(run, Lines):
                number += run.number
                stream.emit_lines(run)
                continue
            for fields in run:
                number += 1
                if not isinstance(fields.get("name"), str):
                    raise UnusableAnswer(
                        f"Record {number} of the {stream.name} of dataset {dataset} has no text as its name."
                    )
                stream.emit(shape.record(fields, own))

    def _reader(self, stream: ExportStream, own: Mapping[str, str]) -> Callable[[Spool], Iterator[Run]]:
        if self.settings["format"] == "csv":
            pages = CsvPages(stream.name, stream.columns, self.settings.get("csv_list_separator"))
            return lambda page: ([fields] for fields in pages.objects(page))
        is_plain = stream.is_plain()
        fast = TypedRuns(stream.columns, own=own, required="name", selected=stream.selects) if is_plain else None
        return _JsonPages(fast).runs

    def _runs(
        self, stream: ExportStream, dataset: str, window: Window, read: Callable[[Spool], Iterator[Run]]
    ) -> Iterator[Run]:
        """Read pages from 0 until an empty one: nothing promises that only the last page is short."""
        client = self._client()
        page_size = self.settings["page_size"]
        seen: set[bytes] = set()
        for number in itertools.count():
            with client.page(stream.name, dataset, window, page=number, page_size=page_size) as page:
                logger.info("%s of dataset %s: page %d, %d bytes.", stream.name, dataset, number, page.size)
                digest = _digest(page)
                found = proven(page, read)
                first = next(found, None)
                if first is None:
                    return
                if digest in seen:
                    raise UnusableAnswer(
                        f"Page {number} of the {stream.name} of dataset {dataset} repeats an earlier page to the byte."
                    )
                yield first
                yield from found
            if not page_size:
                return
            seen.add(digest)


def _digest(page: Spool) -> bytes:
    """Tell pages apart by what they hold: gzip notes the time, so equal pages may differ on the wire."""
    digest = hashlib.sha256()
    for chunk in contents(page):
        digest.update(chunk)
    return digest.digest()
