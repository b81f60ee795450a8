"""Plain expressions of stream maps as Python functions; the SDK's evaluator walks through them for every record.

What is compiled is a small part of the language, in which both mean the same: columns, constants, comparisons,
conditions, places in a text, methods of texts and the SDK's own functions. Nothing else can be reached from there.
"""

from __future__ import annotations

import ast
import warnings
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

_FORMS: Final = (
    ast.BoolOp, ast.And, ast.Or, ast.IfExp, ast.UnaryOp, ast.Not, ast.USub,
    ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Is, ast.IsNot, ast.In, ast.NotIn,
    ast.Subscript, ast.Slice, ast.Name, ast.Load, ast.Constant, ast.Call, ast.Attribute,
)  # fmt: skip
_METHODS: Final = {
    "capitalize", "endswith", "lower", "lstrip", "replace", "rsplit", "rstrip", "split", "startswith", "strip", "title",
    "upper",
}  # fmt: skip
_FUNCTIONS: Final = {"bool", "float", "int", "md5", "sha256", "str"}
_LONGEST: Final = 1_000


class Compiled(NamedTuple):
    """An expression as a function.

    Attributes:
        reads: the names of its arguments, in order.
        function: gives the expression's value; where it raises anything, the SDK's evaluator is to be asked.
    """

    reads: tuple[str, ...]
    function: Callable[..., Any]


def compiled(expression: str, names: Collection[str], functions: Mapping[str, Callable[..., Any]]) -> Compiled | None:
    """Compile an expression.

    Args:
        expression: of a stream map.
        names: what it may read, plain values all of them.
        functions: the SDK's, by name.

    Returns:
        The function; None where the expression is not plain.
    """
    first, *_ = ast.parse(expression).body  # the SDK, too, evaluates the first statement
    if not isinstance(first, ast.Expr):
        return None
    nodes = list(ast.walk(first.value))
    called = [node.func for node in nodes if isinstance(node, ast.Call)]
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    read = {node.id for node in nodes if isinstance(node, ast.Name) and node not in called}
    used = {node.id for node in called if isinstance(node, ast.Name)}
    is_plain = (
        all(isinstance(node, _FORMS) for node in nodes)
        and all(isinstance(node, ast.Name | ast.Attribute) for node in called)
        and all(node in called and node.attr in _METHODS for node in attributes)
        and not any(node.keywords for node in nodes if isinstance(node, ast.Call))
        and all(_is_plain(node.value) for node in nodes if isinstance(node, ast.Constant))
        and all(_tells_singletons(node) for node in nodes if isinstance(node, ast.Compare))
        and used <= _FUNCTIONS & functions.keys()
        and read.issubset(names)
        and read.isdisjoint(used)
    )
    if not is_plain:
        return None
    reads = tuple(sorted(read))
    arguments = ast.arguments(
        posonlyargs=[], args=[ast.arg(name) for name in reads], kwonlyargs=[], kw_defaults=[], defaults=[]
    )
    tree = ast.fix_missing_locations(ast.Expression(ast.Lambda(arguments, first.value)))
    reachable = {"__builtins__": {}, **{name: functions[name] for name in used}}
    with warnings.catch_warnings():  # of a comparison that is odd, but not this tap's
        warnings.simplefilter("ignore", SyntaxWarning)
        code = compile(tree, "stream map", "eval")
    return Compiled(reads, eval(code, reachable))  # noqa: S307 -- of the forms above alone


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, int | float) or (isinstance(value, str) and len(value) <= _LONGEST)


def _tells_singletons(comparison: ast.Compare) -> bool:
    """Tell whether identity is asked of None, true and false alone: Python may make one object of equal constants."""
    pairs = zip(comparison.ops, comparison.comparators, strict=True)
    compared = [other for operator, other in pairs if isinstance(operator, ast.Is | ast.IsNot)]
    return all(
        isinstance(other, ast.Constant) and (other.value is None or isinstance(other.value, bool)) for other in compared
    )
