"""A vendor of campaigns and their statistics by day, played with requests-mock."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.helpers.configurations import BRAZE_URL

if TYPE_CHECKING:
    from requests_mock import Mocker

DAY = timedelta(days=1)


@dataclass
class CampaignVendor:
    """Lists campaigns, and answers for each day with a figure.

    Attributes:
        campaigns: details of each campaign by ID.
        figures: conversions by ID and day; 0 where there is none.
        refused: IDs whose series are refused, with the status.
        refused_before: windows that end before this day are refused with 400.
        kept_from: windows that begin before this day are refused with 404.
        lacking: ID, and first and last day, of what is left out of answers.
        fails_at: number of the request for a series that ends the run; 0 is none.
        asked: ID, first day and last day of each request for a series.
    """

    campaigns: dict[str, dict[str, Any]]
    figures: dict[tuple[str, str], int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    refused_before: str = ""
    kept_from: str = ""
    lacking: list[tuple[str, str, str]] = field(default_factory=list)
    fails_at: int = 0
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def install(self, mocker: Mocker) -> None:
        """Answer the requests of a test."""
        mocker.get(f"{BRAZE_URL}/campaigns/list", json=self._list)
        mocker.get(re.compile(f"^{BRAZE_URL}/campaigns/details"), json=self._details)
        mocker.get(re.compile(f"^{BRAZE_URL}/campaigns/data_series"), json=self._series)

    def _list(self, request: Any, _context: Any) -> dict[str, Any]:
        items = [{"id": name, "name": name.title()} for name in self.campaigns] if request.qs["page"] == ["0"] else []
        return {"message": "success", "campaigns": items}

    def _details(self, request: Any, _context: Any) -> dict[str, Any]:
        (name,) = request.qs["campaign_id"]
        return {"message": "success", **self.campaigns[name]}

    def _series(self, request: Any, context: Any) -> dict[str, Any]:
        (name,), (length,), (ending_at,) = (request.qs[key] for key in ("campaign_id", "length", "ending_at"))
        last = datetime.fromisoformat(ending_at.upper()).date()
        days = [last - number * DAY for number in reversed(range(int(length)))]
        self.asked.append((name, str(days[0]), str(days[-1])))
        if len(self.asked) == self.fails_at:
            context.status_code = 410
            return {"message": "the run ends here"}
        if name in self.refused:
            context.status_code = self.refused[name]
            return {"message": "campaign_id must be a string of the Campaign api identifier"}
        if str(days[-1]) < self.refused_before or str(days[0]) < self.kept_from:
            context.status_code = 400 if str(days[-1]) < self.refused_before else 404
            return {"message": "ending_at is too old"}
        return {"message": "success", "data": [self._day(name, day) for day in days if not self._lacks(name, str(day))]}

    def _lacks(self, name: str, day: str) -> bool:
        return any(name == lacking and first <= day <= last for lacking, first, last in self.lacking)

    def _day(self, name: str, day: date) -> dict[str, Any]:
        count = self.figures.get((name, str(day)), 0)
        return {"time": str(day), "conversions": count, "messages": {"email": [{"variation_api_id": "v", "sent": 1}]}}
