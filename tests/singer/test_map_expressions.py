"""A compiled expression gives what the SDK's evaluator gives, or is left to it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_cdp_export.singer.map_expressions import compiled
from tests.helpers.stream_maps import stream_map

NAMES = ("a", "b", "self")
COLUMNS = {name: {"type": "string"} for name in ("a", "b", "made")}

scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-1, 1) | st.text("aB@. ", max_size=4)
leaves = st.sampled_from(NAMES) | scalars.map(repr)


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return (
        st.tuples(inner, st.sampled_from(["and", "or", "==", "!=", "<", ">=", "in", "not in"]), inner).map(
            lambda parts: f"({parts[0]}) {parts[1]} ({parts[2]})"
        )
        | st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]}) if ({parts[1]}) else ({parts[2]})")
        | st.tuples(inner, st.sampled_from(["0", "-1", "1:", ":2", "::-1", "a"])).map(
            lambda parts: f"({parts[0]})[{parts[1]}]"
        )
        | inner.map(lambda part: f"not ({part})")
        | st.tuples(inner, st.sampled_from(["is None", "is not None", "is True"])).map(
            lambda parts: f"({parts[0]}) {parts[1]}"
        )
        | st.tuples(
            inner, st.sampled_from(["lower()", "split('@')", "split()", "strip()", "replace('a', b)", "title()"])
        ).map(lambda parts: f"({parts[0]}).{parts[1]}")
        | st.tuples(st.sampled_from(["str", "int", "float", "bool", "md5", "sha256"]), inner).map(
            lambda parts: f"{parts[0]}({parts[1]})"
        )
    )


expressions = st.recursive(leaves, _larger, max_leaves=6)


def sdk_value(expression: str, record: dict[str, Any]) -> Any:
    mapped = stream_map(COLUMNS, {"made": expression}).transform(record)
    assert mapped
    return mapped["made"]


functions = stream_map(COLUMNS, {}).functions


@given(expression=expressions, a=scalars, b=scalars, made=scalars)
def test_the_function_gives_what_the_evaluator_gives_or_raises(expression: str, a: Any, b: Any, made: Any) -> None:
    found = compiled(expression, NAMES, functions)
    assert found
    values = {"a": a, "b": b, "self": made}
    try:
        value = found.function(*(values[name] for name in found.reads))
    except Exception:  # noqa: BLE001 -- whatever it is, the evaluator is asked
        return
    expected = sdk_value(expression, {"a": a, "b": b, "made": made})
    assert (type(value), repr(value)) == (type(expected), repr(expected))


@pytest.mark.parametrize(
    "expression",
    [
        "c",
        "md5",
        "record['a']",
        "a.__class__",
        "a.lower",
        "a.format(b)",
        "a.encode()",
        "'{0.__class__}'.format(a)",
        "().__class__.__bases__[0].__subclasses__()",
        "md5.__globals__['hashlib']",
        "a.lower().__init__.__globals__",
        "a.split(sep='@')",
        "a.split(*b)",
        "int(**a)",
        "open('/etc/passwd')",
        "__import__('os')",
        "eval('1')",
        "rand()",
        "json.dumps(a)",
        "datetime.datetime.now()",
        "a + b",
        "a * 10**9",
        "f'{a}'",
        "[a, b]",
        "{'a': a}",
        "[x for x in a]",
        "(lambda: a)()",
        "(a if b else a)()",
        "(x := a)",
        "b'bytes'",
        "...",
        "a = b",
        "a is b",
        "0.0 is 0.0",
        "'" + "x" * 2_000 + "'",
    ],
)
def test_what_is_not_plain_is_left_to_the_evaluator(expression: str) -> None:
    assert compiled(expression, NAMES, functions) is None


def test_a_column_that_is_called_as_a_function_is_does_not_hide_it() -> None:
    assert compiled("md5(md5)", ["md5"], functions) is None


def test_a_function_reaches_nothing_but_what_it_calls() -> None:
    found = compiled("md5(a)", NAMES, functions)
    assert found
    assert found.function.__globals__.keys() == {"__builtins__", "md5"}
    assert found.function.__globals__["__builtins__"] == {}
