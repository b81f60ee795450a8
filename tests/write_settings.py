"""Writes the settings into `meltano.yml` and `docs/settings.md`, after a change: `python -m tests.write_settings`."""

from __future__ import annotations

import sys

from ruamel.yaml import YAML

from tests.docs.test_meltano_yml import described, described_loader
from tests.docs.test_settings import PAGE, page
from tests.helpers.about import ROOT, about, settings


def main() -> None:
    """Write both files; what is not about settings stays as it is."""
    yaml = YAML()
    yaml.width = sys.maxsize  # as Meltano writes it
    project = yaml.load(ROOT / "meltano.yml")
    (extractor,) = project["plugins"]["extractors"]
    extractor["settings"] = [described(setting) for setting in settings()]
    extractor["capabilities"] = sorted(about()["capabilities"])
    (loader,) = [entry for entry in project["plugins"]["loaders"] if entry["name"] == "target-duckdb"]
    loader |= described_loader()
    yaml.dump(project, ROOT / "meltano.yml")
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
