"""`users` and `accounts`: page by page, in order, until an empty page."""

from __future__ import annotations

import hashlib
import itertools
import logging
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

import msgspec

from tap_cdp_export.errors import CdpExportError, UnusableAnswer
from tap_cdp_export.exports.ahead import pages_ahead
from tap_cdp_export.exports.json_members import ARRAY_OF_OBJECTS, runs
from tap_cdp_export.exports.readers import contents, proven
from tap_cdp_export.feeds import Feed
from tap_cdp_export.messages import Lines
from tap_cdp_export.personalization.client import PersonalizationClient
from tap_cdp_export.personalization.csv_pages import CsvPages
from tap_cdp_export.personalization.schemas import ACCOUNTS, OWN, USERS
from tap_cdp_export.records import RecordShape, camel_case
from tap_cdp_export.streams import ExportStream
from tap_cdp_export.typed_runs import TypedRuns
from tap_cdp_export.windows import Window, time_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tap_cdp_export.exports.spool import Spool


logger = logging.getLogger(__name__)

_SMALL_PAGE_BYTES: Final = 4096
_page = msgspec.json.Decoder(list[dict[str, Any]])


Run: TypeAlias = "list[dict[str, Any]] | Lines"
"""A part of a page: the vendor's objects, or their records encoded already."""


class _JsonPages:
    """Reads pages, run by run: encoded at once where nothing must see a record, else object by object."""

    def __init__(self, fast: TypedRuns | None) -> None:
        self._decode: Callable[[bytes], Run] = fast.array if fast else _page.decode
        self._accept: Callable[[Any], Run] = fast.lines if fast else list

    def runs(self, page: Spool) -> Iterator[Run]:
        return runs(contents(page), ARRAY_OF_OBJECTS, self._decode, self._accept)


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
            list(self._reader(self.streams[0], _shape(self.streams[0]), {})(body))

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
        shape = _shape(stream)
        own = {
            "dataset_id": dataset,
            "window_start": time_text(window.start),
            "window_end": time_text(window.end),
        }
        found = self._runs(stream, dataset, window, self._reader(stream, shape, own))
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

    def _reader(
        self, stream: ExportStream, shape: RecordShape, own: Mapping[str, str]
    ) -> Callable[[Spool], Iterator[Run]]:
        if self.settings["format"] == "csv":
            pages = CsvPages(stream.name, stream.columns, self.settings.get("csv_list_separator"))
            return lambda page: ([fields] for fields in pages.objects(page))
        if not stream.is_plain():
            return _JsonPages(None).runs
        return _JsonPages(TypedRuns(shape, own, required="name", selected=stream.selects)).runs

    def _runs(
        self, stream: ExportStream, dataset: str, window: Window, read: Callable[[Spool], Iterator[Run]]
    ) -> Iterator[Run]:
        """Read pages from 0 until an empty one: nothing promises that only the last page is short."""
        client = self._client()
        page_size = self.settings["page_size"]
        digests: dict[Spool, bytes] = {}

        def fetch(number: int) -> Spool:
            page = client.page(stream.name, dataset, window, page=number, page_size=page_size)
            digests[page] = _digest(page)
            return page

        seen: set[bytes] = set()
        with closing(pages_ahead(fetch, lambda page: not page_size or _is_empty(page))) as pages:
            for number, page in enumerate(pages):
                with page:
                    logger.info("%s of dataset %s: page %d, %d bytes.", stream.name, dataset, number, page.size)
                    found = proven(page, read)
                    first = next(found, None)
                    if first is None:
                        return
                    digest = digests.pop(page)
                    if digest in seen:
                        raise UnusableAnswer(
                            f"Page {number} of the {stream.name} of dataset {dataset} "
                            "repeats an earlier page to the byte."
                        )
                    seen.add(digest)
                    yield first
                    yield from found


def _shape(stream: ExportStream) -> RecordShape:
    return RecordShape(stream.columns, own=OWN, spell=camel_case)


def _is_empty(page: Spool) -> bool:
    """Tell an empty page by its bytes; a page that looks full and is not only costs one more request."""
    if page.size > _SMALL_PAGE_BYTES:
        return False
    try:
        text = b"".join(contents(page)).strip()
    except CdpExportError:  # is raised when the page has its turn
        return True
    return text == b"[]" or (b"\n" not in text and not text.startswith(b"["))


def _digest(page: Spool) -> bytes:
    """Tell pages apart by what they hold: gzip notes the time, so equal pages may differ on the wire."""
    digest = hashlib.sha256()
    try:
        for chunk in contents(page):
            digest.update(chunk)
    except CdpExportError:  # is raised when the page has its turn
        return b""
    return digest.digest()
