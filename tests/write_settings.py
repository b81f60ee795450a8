"""Writes the settings into `meltano.yml`, `plugins/` and `docs/settings.md`: `python -m tests.write_settings`."""

from __future__ import annotations

from tests.docs.test_settings import PAGE, page
from tests.helpers.about import ROOT
from tests.helpers.plugin_definitions import FOLDER, definitions, described_extractor, described_loader, yaml


def main() -> None:
    """Write the files; what is not about settings stays as it is."""
    project = yaml().load(ROOT / "meltano.yml")
    (extractor,) = project["plugins"]["extractors"]
    extractor |= described_extractor()
    (loader,) = [entry for entry in project["plugins"]["loaders"] if entry["name"] == "target-duckdb"]
    loader |= described_loader()
    yaml().dump(project, ROOT / "meltano.yml")
    for name, definition in definitions(project).items():
        (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        yaml().dump(definition, FOLDER / name)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
