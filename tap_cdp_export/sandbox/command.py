"""The command `tap-cdp-export-sandbox`: runs the sandbox until it is interrupted."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

import msgspec

from tap_cdp_export.sandbox.clock import milliseconds
from tap_cdp_export.sandbox.options import Options
from tap_cdp_export.sandbox.population import Population


def main(argv: list[str] | None = None) -> int:
    """Serve the three vendors on loopback ports until SIGINT or SIGTERM."""
    arguments = _parser().parse_args(argv)
    try:
        options = _options(arguments)
        if arguments.counts:
            start, end = arguments.counts
            sys.stdout.write(json.dumps(Population(options).counts(start=start, end=end)) + "\n")
            return 0
    except ValueError as error:
        sys.stderr.write(f"tap-cdp-export-sandbox: {error}\n")
        return 2
    return _serve(options, arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tap-cdp-export-sandbox",
        description="Simulates Salesforce Personalization, APSIS One and Braze on loopback ports, with synthetic data.",
    )
    parser.add_argument("--port", type=int, default=0, help="port of the APIs; 0 picks a free one")
    parser.add_argument("--storage-port", type=int, default=0, help="port of Braze's storage; 0 picks a free one")
    parser.add_argument("--users", type=int, help="people who sign up in the first two years")
    parser.add_argument("--seed", type=int, help="seed of the synthetic data")
    parser.add_argument("--now", help="freeze the time (RFC 3339)")
    parser.add_argument(
        "--options", default="{}", metavar="JSON", help='all options, such as {"apsis": {"pretty": true}}'
    )
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", help="write settings for the tap to this file, once ready"
    )
    parser.add_argument(
        "--counts",
        nargs=2,
        metavar=("START", "END"),
        help="print the number of rows between two times (RFC 3339), and exit",
    )
    return parser


def _options(arguments: argparse.Namespace) -> Options:
    """Combine the options given as JSON with the single arguments, which win."""
    options = msgspec.json.decode(arguments.options, type=Options)
    for name in ("users", "seed", "now"):
        if getattr(arguments, name) is not None:
            setattr(options.population, name, getattr(arguments, name))
    if options.population.now is not None:
        milliseconds(options.population.now)
    return options


def _serve(options: Options, arguments: argparse.Namespace) -> int:
    try:
        from tap_cdp_export.sandbox.server import Sandbox  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError as error:
        sys.stderr.write(f"{error}; install the tap again with its extra sandbox\n")
        return 1
    try:
        sandbox = Sandbox(options, port=arguments.port, storage_port=arguments.storage_port)
    except OSError as error:
        sys.stderr.write(f"tap-cdp-export-sandbox: {error}\n")
        return 1
    stop_requested = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop_requested.set())
    with sandbox:
        if arguments.settings:
            arguments.settings.write_text(json.dumps(sandbox.settings(), indent=2) + "\n", encoding="utf-8")
        sys.stdout.write(f"The sandbox answers at {sandbox.api_url}, Braze's storage at {sandbox.storage_url}\n")
        sys.stdout.flush()
        stop_requested.wait()
    return 0
