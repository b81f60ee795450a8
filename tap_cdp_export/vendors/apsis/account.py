"""What all sources of APSIS One share in a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tap_cdp_export.vendors.apsis.api import ApsisApi
from tap_cdp_export.vendors.apsis.definitions import Definitions

if TYPE_CHECKING:
    from collections.abc import Mapping


class ApsisAccount(NamedTuple):
    """One account.

    Attributes:
        api: its host, client and token.
        definitions: its lists, each read at most once a run.
    """

    api: ApsisApi
    definitions: Definitions

    @classmethod
    def connect(cls, settings: Mapping[str, Any], *, deadline_seconds: float) -> ApsisAccount:
        """Make the client; nothing is sent yet.

        Args:
            settings: `apsis`.
            deadline_seconds: for one request with all its retries.

        Returns:
            The account.
        """
        api = ApsisApi(settings, deadline_seconds=deadline_seconds)
        return cls(api, Definitions(api))
