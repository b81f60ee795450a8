from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tap_cdp_export.sandbox.options import Options, PopulationOptions
from tap_cdp_export.sandbox.server import Sandbox
from tests.sandbox.clients import NOW, Client

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Options(population=PopulationOptions(users=300, now=NOW))) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    sandbox_client = Client(sandbox)
    yield sandbox_client
    sandbox_client.session.close()
