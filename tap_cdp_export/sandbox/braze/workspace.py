"""What the workspace of Braze holds beside its users: campaigns, Canvases and segments, with their figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.sandbox.braze import export_users
from tap_cdp_export.sandbox.braze.access import Refused
from tap_cdp_export.sandbox.braze.figures import figures_of
from tap_cdp_export.sandbox.braze.identifiers import CANVAS, campaign_id, variation_id
from tap_cdp_export.sandbox.clock import DAY, HOUR, MINUTE, milliseconds, moment_of
from tap_cdp_export.sandbox.shop import CAMPAIGNS, WELCOME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_cdp_export.sandbox.braze.figures import Figures
    from tap_cdp_export.sandbox.options import BrazeOptions, Options
    from tap_cdp_export.sandbox.population import Population

ARCHIVED: Final = frozenset({"1002"})
"""Numbers of the archived campaigns; users have received them all the same."""
_DRAFT: Final = "d72fdc84-ddda-44f1-a0d5-00000000d4af"
_YEAR: Final = 365 * DAY
_MOST_ALERT_DAYS: Final = 60


@dataclass(frozen=True)
class Campaign:
    """A campaign, or with `alert` one of those that only an option adds.

    Attributes:
        identifier: Its API identifier.
        variation: ID of its only message variation.
        name: Its name.
        subject: Subject of its mail; empty for one that sends webhooks.
        archived: Whether it is archived.
        draft: Whether it is a draft, which was never sent.
        alert: Its number among the webhooks of the warehouse, which go to no user; None for a mail.
    """

    identifier: str
    variation: str
    name: str
    subject: str = ""
    archived: bool = False
    draft: bool = False
    alert: int | None = None


class Workspace:
    """The workspace as of the sandbox's time."""

    def __init__(self, options: Options, population: Population) -> None:
        """Take the options, which may change at run time, and the population."""
        self._options = options
        self._population = population
        self._figures: tuple[Any, Figures] | None = None

    @property
    def options(self) -> BrazeOptions:
        """Options of Braze."""
        return self._options.braze

    @property
    def opened(self) -> int:
        """Time at which everything was created."""
        return milliseconds(self._options.population.opened)

    @property
    def now(self) -> int:
        """The sandbox's time, in whole minutes, so that what is summed up can be kept for one."""
        return self._population.now() // MINUTE * MINUTE

    @property
    def offset(self) -> int:
        """Milliseconds by which the company's time zone is ahead of UTC."""
        return int(self.options.company_offset_hours * HOUR)

    def day(self, at: int) -> int:
        """Day of the company, since 1970."""
        return (at + self.offset) // DAY

    @property
    def figures(self) -> Figures:
        """The figures, kept until time or options change."""
        population = self._options.population
        with_controls = self.options.control_groups
        people = (population.seed, population.users, population.opened, population.companies)
        key = (self.now, self.offset, with_controls, *people)
        if self._figures is None or self._figures[0] != key:
            figures = figures_of(self._population, self.now, self.offset, control_groups=with_controls)
            self._figures = key, figures
        return self._figures[1]

    def is_gone(self, identifier: str) -> bool:
        """Whether an object was deleted."""
        return identifier in self.options.gone

    def kept(self, identifiers: Iterable[str]) -> list[str]:
        """Those that were not deleted, in their order."""
        return [identifier for identifier in identifiers if not self.is_gone(identifier)]

    def campaigns(self) -> Iterator[Campaign]:
        """All campaigns that were not deleted, by time of creation."""
        return (campaign for campaign in self._all_campaigns() if not self.is_gone(campaign.identifier))

    def _all_campaigns(self) -> Iterator[Campaign]:
        for one in CAMPAIGNS:
            archived = one.number in ARCHIVED
            yield Campaign(campaign_id(one), variation_id(one), one.name, one.subject, archived=archived)
        yield Campaign(_DRAFT, _DRAFT.replace("d72f", "1bdd"), "Spring (draft)", "Tent?", draft=True)
        for number in range(self.options.more_campaigns):
            identifier = f"aa5e7c1e-0000-4000-8000-{number:012x}"
            yield Campaign(identifier, identifier.replace("aa5e", "bb5e"), f"Stock alert {number:03d}", alert=number)

    def campaign(self, identifier: str | None) -> Campaign:
        """The campaign with this ID, or a refusal."""
        found = {campaign.identifier: campaign for campaign in self.campaigns()}
        if identifier not in found or identifier in self.options.refused:
            raise Refused(400, "campaign_id must be a string of the Campaign api identifier")
        return found[identifier]

    def alert_span(self, number: int) -> tuple[int, int]:
        """Times of the first and last webhook of an alert: up to two months, somewhere in the shop's time."""
        first = self.opened + number * 7_919 % 700 * DAY
        last = min(first + number % _MOST_ALERT_DAYS * DAY, self.now)
        return first, last

    def span(self, campaign: Campaign) -> tuple[int, int] | None:
        """Times of its first and last send; None if it was never sent."""
        if campaign.alert is not None:
            first, last = self.alert_span(campaign.alert)
            return (first, last) if first <= self.now else None
        return self.figures.spans.get(campaign.identifier)

    def canvases(self) -> list[tuple[str, str]]:
        """IDs and names of the Canvases that were not deleted."""
        return [] if self.is_gone(CANVAS) else [(CANVAS, WELCOME.name)]

    def canvas(self, identifier: str | None) -> str:
        """The ID of a Canvas, or a refusal."""
        if identifier is None or identifier not in dict(self.canvases()) or identifier in self.options.refused:
            raise Refused(400, "canvas_id must be a string of the Canvas api identifier")
        return identifier

    def segments(self) -> list[export_users.Segment]:
        """The segments that were not deleted."""
        return [segment for identifier, segment in export_users.SEGMENTS.items() if not self.is_gone(identifier)]

    def segment(self, identifier: str | None) -> export_users.Segment:
        """The segment with this ID, or a refusal."""
        found = {segment.identifier: segment for segment in self.segments()}
        if identifier not in found or identifier in self.options.refused:
            raise Refused(400, "segment_id must be a string of the Segment api identifier")
        return found[identifier]

    def is_tracked(self, segment: export_users.Segment) -> bool:
        """Whether the size of a segment is tracked over time."""
        return segment in export_users.DEFAULT_SEGMENTS


def iso(at: int) -> str:
    """A time in the recorded form, `2022-11-29T14:59:02+00:00`."""
    return moment_of(at).isoformat(timespec="seconds")
