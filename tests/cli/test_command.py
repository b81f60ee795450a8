"""Exit codes and the last line of the log; no secrets or customer data in either."""

from __future__ import annotations

import base64
import errno
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import click
import pytest
import requests
from singer_sdk.exceptions import MappingError

from tap_cdp_export import errors
from tap_cdp_export.cli.command import TapCommand, readable
from tap_cdp_export.tap import TapCDPExport
from tests.helpers.archives import zipped
from tests.helpers.configurations import config
from tests.helpers.loopback import LoopbackServer, cut, with_length
from tests.helpers.running import Run, run_tap

if TYPE_CHECKING:
    from collections.abc import Iterator
    from socket import socket

logger = logging.getLogger("tests.command")

EXIT_CODES = [
    (errors.CdpExportError, 1),
    (errors.SettingsError, 10),
    (errors.RequestRefused, 10),
    (errors.CredentialsRefused, 11),
    (errors.UnusableAnswer, 12),
    (errors.IncompleteAnswer, 12),
    (errors.VendorUnavailable, 13),
    (errors.ExportsFailed, 13),
    (errors.QuotaReached, 14),
    (errors.DeadlinePassed, 15),
    (errors.LocalFailure, 16),
    (errors.TargetGone, 16),
]


def exit_code_of(failure: BaseException | None, *arguments: str) -> int:
    """Run a command that raises this error, and return its exit code."""

    def callback() -> None:
        if failure:
            raise failure

    command = TapCommand.of(click.Command("tap", callback=callback), logger=logger)
    with pytest.raises(SystemExit) as exit_request:
        command.main(list(arguments))
    assert isinstance(exit_request.value.code, int)
    return exit_request.value.code


def last_line(caplog: pytest.LogCaptureFixture) -> tuple[str, str]:
    record = caplog.records[-1]
    return record.levelname, record.getMessage()


# In process


@pytest.mark.parametrize(("kind", "code"), EXIT_CODES)
def test_every_error_has_its_documented_exit_code_and_logs_its_message_last(
    caplog: pytest.LogCaptureFixture, kind: type[errors.CdpExportError], code: int
) -> None:
    failure = kind("What happened. What to do.")
    failure.streams = ("one", "two")
    assert exit_code_of(failure) == code
    text = f"one, two: What happened. What to do.{kind.advice} (exit {code})"
    assert last_line(caplog) == ("CRITICAL", text)


def test_every_error_class_is_in_this_list() -> None:
    def below(kind: type[errors.CdpExportError]) -> Iterator[type[errors.CdpExportError]]:
        yield kind
        for child in kind.__subclasses__():
            yield from below(child)

    classes = {kind for kind in below(errors.CdpExportError) if kind.__module__ == errors.__name__}
    assert classes == {kind for kind, _ in EXIT_CODES}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_with_its_own_code(caplog: pytest.LogCaptureFixture, number: signal.Signals, code: int) -> None:
    assert exit_code_of(errors.Interrupted(number)) == code
    assert number.name in last_line(caplog)[1]
    assert last_line(caplog)[1].endswith(f"(exit {code})")


def test_success_ends_with_0(caplog: pytest.LogCaptureFixture) -> None:
    assert exit_code_of(None) == 0
    assert caplog.records == []


@pytest.mark.parametrize(
    "failure", [ValueError("canary"), KeyError("canary"), OSError("canary"), AssertionError("canary")]
)
def test_an_unexpected_exception_ends_with_1_and_logs_its_traceback_but_not_its_text(
    caplog: pytest.LogCaptureFixture, failure: Exception
) -> None:
    assert exit_code_of(failure) == 1
    level, text = last_line(caplog)
    assert level == "CRITICAL"
    assert type(failure).__name__ in text
    assert "callback" in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (MemoryError("canary"), "no more memory"),
        (RuntimeError("can't start new thread"), "no more threads"),
        (OSError(errno.EMFILE, "Too many open files", "canary"), "Too many open files"),
        (PermissionError(errno.EACCES, "Permission denied", "canary"), "Permission denied"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
    ],
)
def test_what_this_machine_refuses_ends_with_16(
    caplog: pytest.LogCaptureFixture, failure: Exception, words: str
) -> None:
    assert exit_code_of(failure) == 16
    assert words in last_line(caplog)[1]
    assert "canary" not in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "environment",
    [
        {"LOGLEVEL": "canary"},
        {"LOGLEVEL": ""},
        {"TAP_CDP_EXPORT_LOGLEVEL": "x"},
        {"SINGER_SDK_LOG_CONFIG": "/"},
        {"SINGER_SDK_LOG_CONFIG": __file__},
    ],
)
def test_wrong_settings_of_the_log_end_with_10(environment: dict[str, str]) -> None:
    run = run_tap({"sandbox": True}, environment=environment)
    assert run.exit_code == 10, run.log
    assert run.last_line.endswith("(exit 10)")
    assert "Traceback" not in run.log
    assert run.messages == []


def test_a_variable_that_is_no_json_ends_with_10() -> None:
    run = run_tap({"sandbox": True}, "--config", "ENV", environment={"TAP_CDP_EXPORT_BRAZE": "canary"})
    assert run.exit_code == 10
    assert "TAP_CDP_EXPORT_BRAZE" in run.last_line
    assert "canary" not in run.log


def test_a_wrong_stream_map_ends_with_10_and_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    assert exit_code_of(MappingError("canary")) == 10
    assert "stream_maps" in last_line(caplog)[1]
    assert "canary" not in caplog.text


def test_a_wrong_option_ends_with_10(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    assert exit_code_of(None, "--nonsense") == 10
    assert "--nonsense" in capsys.readouterr().err
    assert last_line(caplog)[1].endswith("(exit 10)")


def test_help_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(None, "--help") == 0
    assert "Usage" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (FileNotFoundError(2, "No such file", "canary"), "does not exist"),
        (PermissionError(13, "Permission denied", "canary"), "Permission denied"),
        (IsADirectoryError(21, "Is a directory", "canary"), "Is a directory"),
        (json.JSONDecodeError("canary", "canary", 0), "not JSON"),
        (UnicodeDecodeError("utf-8", b"canary", 0, 1, "canary"), "not JSON"),
        (KeyError("canary"), "not JSON"),
    ],
)
def test_an_unusable_file_is_named_and_not_quoted(failure: Exception, words: str) -> None:
    with pytest.raises(errors.SettingsError, match=words) as refusal, readable("catalog"):
        raise failure
    assert "catalog" in str(refusal.value)
    assert "canary" not in str(refusal.value)
    assert refusal.value.__suppress_context__


def test_an_error_of_the_tap_is_raised_unchanged() -> None:
    with pytest.raises(errors.QuotaReached), readable("state"):
        raise errors.QuotaReached("as it is")


# The whole command


def personalization(url: str, **changes: Any) -> dict[str, Any]:
    return config("personalization", base_url=url, page_size=0, **changes)


@contextmanager
def tap_process(settings: dict[str, Any], folder: Path, *, stdout: int | IO[Any]) -> Iterator[subprocess.Popen[bytes]]:
    """Start the command, and kill it at the end of the block."""
    path = folder / "config.json"
    path.write_text(json.dumps(settings))
    command = [sys.executable, "-m", "tap_cdp_export", "--config", str(path)]
    with subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(process: subprocess.Popen[bytes]) -> Run:
    out, err = process.communicate(timeout=30)
    return Run(process.returncode, [json.loads(line) for line in (out or b"").splitlines()], err.decode())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_during_a_request_ends_at_once_with_whole_output(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    request_arrived, end_of_test = threading.Event(), threading.Event()

    def silence(_connection: socket) -> None:
        request_arrived.set()
        end_of_test.wait(30)

    with LoopbackServer(silence) as server:
        with tap_process(personalization(server.url), tmp_path, stdout=subprocess.PIPE) as process:
            assert request_arrived.wait(30)
            process.send_signal(number)
            run = wait_for(process)
        end_of_test.set()
    assert run.exit_code == code
    assert number.name in run.last_line
    assert {message["type"] for message in run.messages} <= {"SCHEMA", "STATE"}


def test_a_full_disk_behind_stdout_ends_with_16(tmp_path: Path) -> None:
    users = json.dumps([{"name": f"user {number}"} for number in range(5000)]).encode()
    with (
        LoopbackServer(cut(with_length(users))) as server,
        Path("/dev/full").open("wb") as full,
        tap_process(personalization(server.url), tmp_path, stdout=full) as process,
    ):
        run = wait_for(process)
    assert run.exit_code == 16
    assert "No space left" in run.last_line
    assert "Traceback" not in run.log


def test_a_target_that_is_gone_ends_with_16_and_one_clear_line(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with (
        LoopbackServer(cut(with_length(b'[{"name":"a"}]'))) as server,
        open(writing, "wb") as pipe,  # noqa: PTH123 -- a file descriptor
        tap_process(personalization(server.url), tmp_path, stdout=pipe) as process,
    ):
        run = wait_for(process)
    assert run.exit_code == 16
    assert "target" in run.last_line
    assert "Traceback" not in run.log


@pytest.mark.parametrize("option", ["--config", "--state", "--catalog"])
@pytest.mark.parametrize("content", [b"{canary", b'"canary"', b"\xff", b"[1]"])
def test_a_malformed_file_ends_with_10(tmp_path: Path, option: str, content: bytes) -> None:
    bad = tmp_path / "bad.json"
    bad.write_bytes(content)
    settings = config("braze", base_url="http://127.0.0.1:9", export_timeout_seconds=1)
    run = run_tap({**settings, "request_deadline_seconds": 1}, option, str(bad))
    assert run.exit_code == 10, run.log
    assert "canary" not in run.log
    assert "Traceback" not in run.log


def test_a_config_file_that_is_not_there_ends_with_10(tmp_path: Path) -> None:
    run = run_tap(config("braze"), "--config", str(tmp_path / "nowhere.json"))
    assert run.exit_code == 10
    assert "Traceback" not in run.log


def test_at_debug_no_form_of_a_secret_and_no_field_value_is_in_the_log() -> None:
    secrets = {"api_key_id": "canary-id:+/=?", "api_key_secret": 'canary "secret" é'}
    user_info = ":".join(secrets.values())
    echo = json.dumps([{"name": "canary-user", **secrets}]).encode()
    refusal = b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n" + echo
    for answer, code in ((cut(with_length(echo)), 0), (cut(refusal), 11), (cut(with_length(echo[:-1])), 12)):
        with LoopbackServer(answer) as server:
            run = run_tap(personalization(server.url, **secrets), environment={"TAP_CDP_EXPORT_LOGLEVEL": "DEBUG"})
            assert base64.b64encode(user_info.encode()) in server.requests[0]
        assert run.exit_code == code, run.log
        assert "canary" not in run.log
        for value in (*secrets.values(), user_info):
            raw = value.encode()
            forms = (
                value,
                quote(value),
                json.dumps(value)[1:-1],
                base64.b64encode(raw).decode().rstrip("="),
                raw.hex(),
            )
            assert not [form for form in forms if form in run.log]


SIGNATURES = ["c0ffee+c0ffee/c0ffee==", "tök e~n%2fc0ffee", "Iw_2CAuI{2}mv|Aemo2"]
SIGNED_PATH = "/a folder/{2}.zip?X-Amz-Signature={0}&X-Amz-Security-Token={1}&X-Amz-SignedHeaders=host".format(
    *SIGNATURES
)
LOG_EVERYTHING = """
version: 1
disable_existing_loggers: false
formatters: {plain: {format: "%(name)s %(message)s"}}
handlers: {plain: {class: logging.StreamHandler, formatter: plain, stream: "ext://sys.stderr"}}
root: {level: DEBUG, handlers: [plain]}
loggers:
  urllib3: {level: DEBUG, handlers: [plain]}
  urllib3.connectionpool: {level: DEBUG, handlers: [plain], propagate: false}
  requests: {level: DEBUG}
"""


@pytest.mark.parametrize("last", [with_length(zipped({"a": b'{"braze_id":"a"}'})), b"HTTP/1.1 418 No\r\n\r\n"])
@pytest.mark.parametrize("log_config", [None, LOG_EVERYTHING])
def test_no_form_of_a_download_url_is_in_the_log_whatever_libraries_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, last: bytes, log_config: str | None
) -> None:
    broken = b"HTTP/1.1 %b\r\nConnection: close\r\nno header\r\nContent-Length: 0\r\n\r\n"  # urllib3 logs the URL
    environment = {"TAP_CDP_EXPORT_LOGLEVEL": "DEBUG"}
    if log_config:
        (tmp_path / "log.yml").write_text(log_config)
        environment["SINGER_SDK_LOG_CONFIG"] = str(tmp_path / "log.yml")
    with LoopbackServer(cut(broken % b"403 No"), cut(broken % b"500 No"), cut(last)) as storage:
        answer = json.dumps({"message": "success", "url": storage.url + SIGNED_PATH}).encode()
        with LoopbackServer(cut(with_length(answer))) as api:
            braze = config("braze", base_url=api.url, poll_initial_seconds=0.01, poll_max_seconds=0.01)
            run = run_tap(braze, environment=environment)
    assert run.exit_code == (12 if b"418" in last else 0), run.log
    assert len(storage.requests) == 3
    target = storage.requests[0].split(b" ")[1].decode()
    assert_not_in_log(target, run.log)
    with LoopbackServer(cut(broken % b"403 No")) as storage, caplog.at_level(logging.DEBUG, "urllib3"):
        logging.getLogger("urllib3.connectionpool").disabled = False  # other tests install the redactor
        requests.get(storage.url + SIGNED_PATH, timeout=10)
    with pytest.raises(AssertionError):
        assert_not_in_log(target, caplog.text)


def assert_not_in_log(target: str, log: str) -> None:
    """Search for the request target and its parts, as sent and as given in the settings."""
    path, _, query = target.partition("?")
    parts = {target, path, query, *path.split("/"), *(pair.partition("=")[2] for pair in query.split("&"))}
    parts = {part for part in parts if len(unquote(part)) > len("folder/")}
    assert len(parts) == 7
    for part in {*parts, SIGNED_PATH, *SIGNATURES}:
        for form in (part, unquote(part), quote(part), quote(part, safe=""), json.dumps(part)[1:-1]):
            assert form not in log
    assert "c0ffee" not in log


def test_the_last_line_of_a_failed_run_names_an_incomplete_stream() -> None:
    with LoopbackServer(cut(with_length(b"<html>"))) as server:
        run = run_tap(personalization(server.url))
    assert run.exit_code == 12
    assert "CRITICAL" in run.last_line
    assert "accounts" in run.last_line
    assert run.records("accounts") == []


@pytest.mark.parametrize(("arguments", "deadline"), [([], 60), (["--test"], 15)])
def test_only_a_test_has_a_shorter_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], deadline: int
) -> None:
    settings = {**config("personalization"), "request_deadline_seconds": 60}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    deadlines: list[float] = []

    def note(tap: TapCDPExport) -> bool:
        deadlines.append(tap.config["request_deadline_seconds"])
        return True

    monkeypatch.setattr(TapCDPExport, "sync_all", note)
    monkeypatch.setattr(TapCDPExport, "run_connection_test", note)
    with pytest.raises(SystemExit):
        TapCDPExport.cli(["--config", str(tmp_path / "config.json"), *arguments])
    assert deadlines == [deadline]
