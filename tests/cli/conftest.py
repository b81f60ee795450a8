"""The command changes its process; here that is the process of all tests."""

from __future__ import annotations

import signal

_HANDLERS = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

import tap_cdp_export.__main__  # noqa: E402, F401 -- its import installs handlers, which are taken back

for _number, _handler in _HANDLERS.items():
    signal.signal(_number, _handler)
