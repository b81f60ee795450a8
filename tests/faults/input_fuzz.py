"""C9: mistakes in settings, catalog, STATE and environment end with a documented exit code; exit 1 is a defect."""

from __future__ import annotations

import copy
import json
import random
from typing import TYPE_CHECKING, Any, Final

from tests.faults.scenarios import Outcome, Scenario
from tests.faults.scene import NOW, SECRETS, Scene, states_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.scene import Run
    from tests.helpers.fork_server import ForkServer, Patch

NAME: Final = "C9 input fuzz"
_BATCH: Final = 25
_SECONDS: Final = 20
_PATCHES: Final[tuple[Patch, ...]] = (
    ("tests.faults.child_patches:stay_on_loopback", {}),
    ("tests.faults.child_patches:hurry", {"factor": 50}),
)
_OPTIONS: Final = {"population": {"users": 8, "companies": 2, "now": NOW}}
_SETTINGS: Final = {"request_deadline_seconds": 20, "apsis": {"attribute_columns": True}}
_CODES: Final = {0, *range(10, 17)}
_PREFIX: Final = "TAP_CDP_EXPORT_"


_VALUES: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 0.5, 1e-300, 1e308, 10**18, 10**30, "", " ", "x", "*", "-1", "nan", "1e400", "é", "Ā",
    "\ud800", "\x00", "a\nb", "a\n", "\r\nX: y", "%s", "{}", "[]", "[", "null", "x" * 300, "x" * 70_000, [], {},
    [None], [1], [""], ["*"], ["a", "a"], [[]], [{}], {"": None}, {"a": None}, {"a": {"b": [1]}}, {"__else__": None},
)  # fmt: skip
_ADDRESSES: Final = (
    "https://rest..host", "https://.", "http://[::1", "http://[v1.x]", "https://x:99999", "https://x:y", "x.example",
    "https://", "ftp://x", "https://ü.example", "https://" + "a" * 64 + ".example", "https://x.example/ü?q", "http:///",
    "https://a b", "https://x\n.example", "//x", "https://*.example", "http://127.0.0.1:1", "https://127.0.0.1:1",
    "https://x.example:0", "s3://", "file:///", "file:///missing", "s3://b/../c", "memory://x", "gs://b/ü", "az://\n",
)  # fmt: skip
_TIMES: Final = (
    "2026-11-01", "2026-11-01T00:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2999-01-01",
    "2026-02-30", "2026-W01", "20261101", "2026-11-01T00:00:00.123456789Z", "0001-01-01", "now",
)  # fmt: skip
_MAPS: Final[tuple[Any, ...]] = (
    None, "", "x", 5, [], {}, "__NULL__", {"name": None}, {"name": "__NULL__"}, {"a": "1/0"}, {"a": "name.lower()"},
    {"a": "email_address.lower()"}, {"a": "md5(email)"}, {"a": "fake.name()"}, {"a": "("}, {"a": "lambda: 1"},
    {"a": "\x00"}, {"a": "x" * 5000 + "()"}, {"a": "(" * 300}, {"a": "record['x']"}, {"a": 5},
    {"a": []},
    {"a": {"b": 1}}, {"__filter__": "1/0"}, {"__filter__": 5}, {"__filter__": None}, {"__filter__": "x"},
    {"__alias__": ""}, {"__alias__": "users"}, {"__alias__": "../x"}, {"__alias__": "a\nb"},
    {"__source__": "accounts"}, {"__source__": 5}, {"__else__": 5}, {"__else__": "x"}, {"__key_properties__": None},
    {"__key_properties__": "name"}, {"__key_properties__": ["none"]}, {"__key_properties__": [5]},
    {"__key_properties__": []},
    {"__else__": None}, {"__else__": None, "__key_properties__": []}, {"window_end": None}, {"users": {"a": "1"}},
    {"a": "name", "b": "self['a']"}, {"a": "int(name)"}, {"a": "float('nan')"}, {"a": "str(attributes)"},
    {"a": "attributes"},
)  # fmt: skip
_DEEP: Final = 3000
_ENVIRONMENT: Final = {
    "REQUESTS_CA_BUNDLE": ("/missing", "/", "/etc/hostname", "", "relative.pem"),
    "CURL_CA_BUNDLE": ("/missing", "/dev/null"),
    "SSL_CERT_FILE": ("/missing", "/dev/null"),
    "HTTP_PROXY": ("x", "http://", "http://127.0.0.1:1", "socks5://127.0.0.1:1", "http://[::1", "http://x:y", "ü"),
    "HTTPS_PROXY": ("x", "http://127.0.0.1:1", "socks5h://x", "http://[", "https://x:99999"),
    "ALL_PROXY": ("x", "socks4://x", "http://127.0.0.1:1"),
    "NO_PROXY": ("*", "[", "127.0.0.1/99", "ü", ","),
    "TMPDIR": ("/missing", "/dev/null", "/proc", ""),
    "LOGLEVEL": ("DEBUG", "nonsense", "", "5"),
    "TAP_CDP_EXPORT_LOGLEVEL": ("WARNING", "x", "NOTSET"),
    "SINGER_SDK_LOG_CONFIG": ("/missing.yaml", "/etc/hostname", "/", ""),
    "TZ": ("nonsense", "", ":/missing", "Asia/Kathmandu"),
    "PYTHONIOENCODING": ("ascii", "latin-1"),
    "NETRC": ("/missing", "/"),
    "COLUMNS": ("x", "0"),
}  # fmt: skip


def _places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value in a document."""
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in inner:
        yield (*path, key)
        yield from _places(value, (*path, key))


def _change(document: Any, path: tuple[Any, ...], value: Any) -> None:
    *outer, last = path
    for key in outer:
        document = document[key]
    if value is _ABSENT:
        del document[last]
    else:
        document[last] = value


_ABSENT: Final = object()


class _Inputs:
    """The inputs of a run, and what is wrong with them.

    Attributes:
        about: The mistakes, for the finding.
        env: Environment variables.
    """

    def __init__(self, documents: dict[str, Any], chance: random.Random) -> None:
        self.about: list[str] = []
        self.env: dict[str, str] = {}
        self._documents = copy.deepcopy(documents)
        self._chance = chance
        self._raw: dict[str, bytes] = {}
        self._uses_environment = False

    def spoil(self) -> None:
        """Make one mistake."""
        kind = self._chance.choice(
            ("setting", "setting", "setting", "address", "time", "map", "state", "state", "catalog", "catalog",
             "bytes", "environment", "variable", "more")
        )  # fmt: skip
        getattr(self, f"_{kind}")()

    def _note(self, what: str, path: object, value: object) -> None:
        self.about.append(f"{what} {path}: {'absent' if value is _ABSENT else repr(value)[:120]}")

    def _replace(self, document: str, value: Any, matching: str = "") -> None:
        places = [path for path in _places(self._documents[document]) if matching in str(path[-1])]
        path = self._chance.choice(places)
        _change(self._documents[document], path, value)
        self._note(document, path, value)

    def _value(self) -> Any:
        return self._chance.choice((*_VALUES, _ABSENT, *_TIMES[:4], *_ADDRESSES[:3]))

    def _setting(self) -> None:
        self._replace("config", self._value())

    def _address(self) -> None:
        self._replace("config", self._chance.choice(_ADDRESSES), "url")

    def _time(self) -> None:
        self._replace("config", self._chance.choice(_TIMES), "_date")

    def _state(self) -> None:
        self._replace("state", self._chance.choice((self._value(), self._chance.choice(_TIMES))))

    def _catalog(self) -> None:
        self._replace("catalog", self._value())

    def _map(self) -> None:
        stream = self._chance.choice(("users", "braze_users", "apsis_*", "*", "apsis_profiles", "none", ""))
        maps = self._documents["config"].setdefault("stream_maps", {})
        if isinstance(maps, dict):
            maps[stream] = copy.deepcopy(self._chance.choice(_MAPS))
            self._note("stream_maps", stream, maps[stream])

    def _more(self) -> None:
        """Set an option of the SDK, or one that is not in the settings."""
        name = self._chance.choice(
            ("flattening_enabled", "flattening_max_depth", "flattening_separator", "flattening_max_key_length",
             "batch_config", "stream_map_config", "faker_config", "emit_activate_version_messages", "unknown")
        )  # fmt: skip
        value = copy.deepcopy(self._chance.choice((*_VALUES, {"storage": {"root": "file:///dev/null/x"}}, {"seed": 5})))
        self._documents["config"][name] = value
        self._note("config", name, value)

    def _bytes(self) -> None:
        """Change bytes of a file, or put numbers and depths there that no library writes."""
        name = self._chance.choice(sorted(self._documents))
        data = json.dumps(self._documents[name]).encode()
        offset = self._chance.randrange(len(data))
        inserted = self._chance.choice(
            (b"", b"\xff", b"\x00", b"\xef\xbb\xbf", b"1e400", b"NaN", b",", b"}", b'"', b"[" * _DEEP, b"9" * 5000)
        )
        colon = data.find(b": ", offset) + 2
        data = self._chance.choice((
            data[:offset], data[:offset] + inserted + data[offset:], b"", inserted, b"\xef\xbb\xbf" + data,
            data + inserted,
            data[:colon] + b"1e400, " + data[colon:].partition(b", ")[2],
            data[:colon] + b"[" * _DEEP + b"]" * _DEEP + b", " + data[colon:].partition(b", ")[2],
            data[:colon] + b'{"a":' * _DEEP + b"1" + b"}" * _DEEP + b", " + data[colon:].partition(b", ")[2],
            data.decode().encode("utf-16"),
        ))  # fmt: skip
        self._raw[name] = data
        self._note("bytes of", name, data[max(colon - 40, 0) : colon + 40])

    def _environment(self) -> None:
        name = self._chance.choice(sorted(_ENVIRONMENT))
        self.env[name] = self._chance.choice(_ENVIRONMENT[name])
        self._note("environment", name, self.env[name])

    def _variable(self) -> None:
        """Give a setting by its environment variable, as `--config ENV` reads it."""
        self._uses_environment = True
        name, *_ = self._chance.choice(sorted(_places(self._documents["config"]), key=str))
        value = self._value()
        text = value if isinstance(value, str) else json.dumps(None if value is _ABSENT else value)
        self.env[f"{_PREFIX}{name}".upper()] = text[:1000].replace("\x00", "").encode(errors="replace").decode()
        self._note("variable", name, value)

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `Scene.run`."""
        files = {name: json.dumps(document).encode() for name, document in self._documents.items()}
        options = ("--config", "ENV") if self._uses_environment else ()
        return {"files": {**files, **self._raw}, "env": self.env, "options": options}


def _problems(run: Run) -> Iterator[str]:
    last = run.log.strip().rpartition("\n")[2]
    if run.hung:
        yield "hung"
    elif run.code not in _CODES:
        yield f"exit code {run.code}: {run.log.strip()[-1500:]}"
    elif run.code and not last.endswith(f"(exit {run.code})"):
        yield f"the last line does not end with (exit {run.code}): {last[:300]}"
    if run.code in _CODES and "Traceback" in run.log:
        yield f"a traceback: {run.log[-1500:]}"
    if any(secret in run.log for secrets in SECRETS.values() for secret in secrets.values()):
        yield "a secret in the log"


def _fuzz(fork_server: ForkServer, seed: int) -> Outcome:
    chance = random.Random(seed)  # noqa: S311 -- no secret
    outcome = Outcome()
    with Scene(fork_server, options=_OPTIONS, settings=_SETTINGS) as scene:
        config = {**scene.settings, "end_date": NOW}
        clean = scene.run(patches=_PATCHES)
        discovered = scene.run(patches=_PATCHES, options=("--discover",))
        documents = {
            "config": config,
            "catalog": json.loads(discovered.out),
            "state": states_in(clean.out)[-1],
        }
        for number in range(_BATCH):
            inputs = _Inputs(documents, chance)
            for _ in range(chance.choice((1, 1, 1, 2, 3))):
                inputs.spoil()
            run = scene.run(patches=_PATCHES, seconds=_SECONDS, **inputs.arguments())
            outcome.inputs += 1
            outcome.runs += 1
            outcome.findings += [f"seed {seed}, {number}: {'; '.join(inputs.about)}: {text}" for text in _problems(run)]
    return outcome


def scenarios(*, full: bool) -> Iterator[Scenario]:
    """Yield batches of mistakes, each from its own seed."""
    for seed in range(200 if full else 4):
        yield Scenario(NAME, f"seed {seed}", lambda fork_server, s=seed: _fuzz(fork_server, s))  # type: ignore[misc]
