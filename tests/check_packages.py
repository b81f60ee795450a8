"""Look into the distributions in a folder: `python -m tests.check_packages dist`; needs no package."""

from __future__ import annotations

import email
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_PACKAGE: Final = "tap_cdp_export"
_TO_BUILD_FROM: Final = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "PKG-INFO")


def main(folder: str) -> int:
    """Print what is wrong with the only sdist and the only wheel in a folder.

    Args:
        folder: Where they are.

    Returns:
        The exit code: 1 if something is wrong.
    """
    (wheel,) = Path(folder).glob("*.whl")
    (sdist,) = Path(folder).glob("*.tar.gz")
    wrong = [f"{wheel.name}: {problem}" for problem in wheel_problems(wheel)]
    wrong += [f"{sdist.name}: {problem}" for problem in sdist_problems(sdist)]
    sys.stdout.writelines(f"{problem}\n" for problem in wrong)
    return int(bool(wrong))


def sources() -> set[str]:
    """The package's files, by their names in a distribution."""
    files = (path for path in (ROOT / _PACKAGE).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(ROOT)) for path in files}


def wheel_problems(wheel: Path) -> list[str]:
    """What a wheel lacks, or should not hold."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (info,) = {name.partition("/")[0] for name in names if ".dist-info/" in name}
        metadata = archive.read(f"{info}/METADATA").decode()
        commands = archive.read(f"{info}/entry_points.txt").decode()
    definitions = {f"{_PACKAGE}/{path.relative_to(ROOT)}" for path in (ROOT / "plugins").rglob("*.yml")}
    expected = sources() | definitions
    found = {name for name in names if not name.startswith(f"{info}/")}
    problems = [f"lacks {name}" for name in sorted(expected - found)]
    problems += [f"holds {name}" for name in sorted(found - expected)]
    if f"{info}/licenses/LICENSE" not in names:
        problems.append("lacks the licence")
    problems += [f"lacks the command {name}" for name in PROJECT["scripts"] if f"{name} = " not in commands]
    return problems + metadata_problems(metadata)


def metadata_problems(metadata: str) -> list[str]:
    """What the metadata does not say as pyproject.toml does."""
    said = email.message_from_string(metadata)
    expected = {
        "Summary": [PROJECT["description"]],
        "License-Expression": [PROJECT["license"]],
        "Requires-Python": [PROJECT["requires-python"]],
        "Classifier": PROJECT["classifiers"],
        "Project-URL": [f"{name}, {url}" for name, url in PROJECT["urls"].items()],
        "Provides-Extra": sorted(PROJECT["optional-dependencies"]),
    }
    problems = [f"says {said.get_all(key)} of {key}" for key, value in expected.items() if said.get_all(key) != value]
    if not str(said.get_payload()).strip():
        problems.append("has no description")
    return problems


def sdist_problems(sdist: Path) -> list[str]:
    """What an sdist lacks of the things a wheel is built from."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    definitions = {str(path.relative_to(ROOT)) for path in (ROOT / "plugins").rglob("*.yml")}
    problems = [f"lacks {name}" for name in sorted({*sources(), *definitions, *_TO_BUILD_FROM} - names)]
    return problems + [f"holds {name}" for name in sorted(names) if name.startswith((".venv", "output", ".meltano"))]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
