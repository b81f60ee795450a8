"""The private names of the SDK that the package relies on are all listed, and do what it relies on."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk import Stream, Tap
from singer_sdk.helpers._flattening import FlatteningOptions
from singer_sdk.singerlib import RecordMessage

from tap_cdp_export import singer
from tap_cdp_export.singer.stream import ExportStream
from tap_cdp_export.tap import TapCDPExport
from tests.helpers.configurations import config
from tests.helpers.in_process import sync
from tests.helpers.stream_maps import stream_map

# ruff: noqa: SLF001 -- this is what is tested

if TYPE_CHECKING:
    from collections.abc import Iterator

    from requests_mock import Mocker

PACKAGE = Path(singer.__file__).parent.parent
LISTED = {name for text in re.findall(r"`([^`]+)`", singer.__doc__ or "") for name in [text.rpartition(".")[2]]}
OVERRIDES = [
    (Stream, ExportStream, "_sync_records"),
    (Stream, ExportStream, "_sync_batches"),
    (Stream, ExportStream, "_write_schema_message"),
    (Stream, ExportStream, "_write_activate_version_message"),
    (Tap, TapCDPExport, "_validate_config"),
    (Tap, TapCDPExport, "_setup_signal_handlers"),
]


def private_imports() -> Iterator[tuple[str, str]]:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("singer_sdk"):
                for alias in node.names:
                    if alias.name.startswith("_") or "._" in str(node.module):
                        yield str(node.module), alias.name


def private_attributes() -> set[str]:
    """Collect the underscored attributes that the package uses on `self` in subclasses of the SDK's classes."""
    found = set()
    for ours, sdk in ((ExportStream, Stream), (TapCDPExport, Tap)):
        tree = ast.parse(Path(inspect.getfile(ours)).read_text())
        names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr.startswith("_")}
        source = "".join(inspect.getsource(base) for base in sdk.__mro__ if base.__module__.startswith("singer_sdk"))
        found |= {
            name for name in names if not name.startswith("__") and re.search(rf"\b(self\.|def ){name}\b", source)
        }
    return found


@pytest.mark.parametrize(("module", "name"), sorted(set(private_imports())))
def test_an_imported_private_name_is_there_and_listed(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name)
    assert name in LISTED
    assert module.rpartition(".")[2] in LISTED


def test_every_private_attribute_in_use_is_listed() -> None:
    assert private_attributes() >= {"_tap", "_config", "_stream_version", "_initialized_at"}
    assert private_attributes() - LISTED == set()


@pytest.mark.parametrize(("sdk", "ours", "name"), OVERRIDES)
def test_an_overridden_method_is_there_with_the_same_parameters(sdk: Any, ours: Any, name: str) -> None:
    parameters = inspect.signature(getattr(sdk, name)).parameters
    assert list(inspect.signature(getattr(ours, name)).parameters) == list(parameters)
    assert name in LISTED


def test_every_overridden_private_method_is_tested() -> None:
    tested = {name for _, _, name in OVERRIDES}
    for ours, sdk in ((ExportStream, Stream), (TapCDPExport, Tap)):
        names = [name for name in vars(ours) if name.startswith("_") and not name.startswith(("__", "_abc_"))]
        assert {name for name in names if hasattr(sdk, name)} <= tested


def test_the_sdk_calls_the_overridden_methods_of_a_stream(
    requests_mock: Mocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    for name in ("_sync_records", "_write_schema_message"):
        original = getattr(ExportStream, name)

        def spy(self: ExportStream, *args: Any, __name: str = name, __original: Any = original, **options: Any) -> Any:
            calls.append(__name)
            return __original(self, *args, **options)

        monkeypatch.setattr(ExportStream, name, spy)
    requests_mock.get(re.compile("users.json"), json=[])
    assert sync(config("personalization"), only={"users"}).exit_code == 0
    assert {"_sync_records", "_write_schema_message"} <= {*calls}


def test_a_stream_has_its_tap_its_version_and_its_time() -> None:
    tap = TapCDPExport(config=config("personalization"))
    stream = tap.streams["users"]
    assert isinstance(stream, ExportStream)
    assert stream._tap is tap
    assert stream._stream_version is None
    assert stream._initialized_at > 10**12
    message = RecordMessage("users", {}, version=7)
    assert message.to_dict()["version"] == 7


def test_a_stream_map_reads_its_flattening_for_each_record() -> None:
    columns = {"a": {"type": "object", "properties": {"b": {"type": "string"}}}}
    mapping = stream_map(columns, {})
    assert mapping.transform({"a": {"b": "c"}}) == {"a": {"b": "c"}}
    mapping.flattening_options = FlatteningOptions(enabled=True, max_level=1)
    mapping.transformed_schema = {"properties": {"a__b": {"type": "string"}}}
    assert mapping.transform({"a": {"b": "c"}}) == {"a__b": "c"}
