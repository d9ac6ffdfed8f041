"""JMESPath (https://jmespath.org/specification.html) over an API's data, bounded: the model's expressions and the data are untrusted.

A few dozen characters such as `[@,@]|[@,@]|...` build values of any size, so each search has a budget of work; what is found is whole
JSON again. What an expression may be used for is no matter of this file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import jmespath
from jmespath import exceptions, functions, visitor

MAX_EXPRESSION = 1_000  # characters
_BUDGET = 2_000_000  # about as many looks at single values: a second or two
_STEP = 3  # what one node of an expression at one value costs, measured against looking at a value
_CHARACTERS = 32  # of a text that cost as much as a look at a value
_DIGITS = 4_300  # of a number; Python writes no longer ones


class BadQuery(Exception):
    """An expression that is none, does not fit the data, or asks for too much. Its text says so, in few words and none of the data."""


class _Spent(Exception):
    """The budget is used up."""


def check(expression: str) -> None:
    """Raises `BadQuery` where `expression` is none."""
    if len(expression) > MAX_EXPRESSION:
        raise BadQuery(f"it is longer than {MAX_EXPRESSION:,} characters")
    try:
        jmespath.compile(expression)
    except RecursionError:
        raise BadQuery("it is nested too deeply") from None
    except (exceptions.JMESPathError, ValueError) as error:
        at = getattr(error, "lex_position", None)
        raise BadQuery(f"no valid JMESPath{f', at character {at + 1}' if isinstance(at, int) else ''}") from None


def search(expression: str, value: Any) -> Any:
    """What `expression` finds in `value` (JSON), as whole JSON. Raises `BadQuery`."""
    check(expression)
    work = _Work()
    options = jmespath.Options(custom_functions=_Functions(work))
    try:
        found = _Interpreter(work, options).visit(jmespath.compile(expression).parsed, value)
        work.weigh(found)
        return _whole(found)
    except _Spent:
        raise BadQuery("it asks for too much work; select less at once") from None
    except exceptions.UnknownFunctionError:
        raise BadQuery("it calls a function that JMESPath does not have") from None
    except exceptions.ArityError:
        raise BadQuery("it gives a function the wrong number of arguments") from None
    except exceptions.JMESPathTypeError as error:
        name = error.function_name  # one that JMESPath has
        raise BadQuery(f"{name}() got a value of a type that it does not take; is one null?") from None
    except RecursionError:
        raise BadQuery("it is nested too deeply for the data") from None
    except (exceptions.JMESPathError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        raise BadQuery("it does not fit the data") from None


class _Work:
    """What a search may still cost."""

    def __init__(self) -> None:
        self._left = _BUDGET

    def spend(self, amount: int) -> None:
        self._left -= amount
        if self._left < 0:
            raise _Spent

    def weigh(self, value: Any) -> None:
        """Spends what a look at all of `value` costs. What stands in it several times counts each time, as it will be written."""
        for one in _nodes(value):
            self.spend(1 + (len(one) // _CHARACTERS if isinstance(one, str) else 0))


def _nodes(value: Any) -> Iterator[Any]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        yield one
        if isinstance(one, dict):
            waiting += one  # the keys
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


class _Interpreter(visitor.TreeInterpreter):
    def __init__(self, work: _Work, options: jmespath.Options) -> None:
        super().__init__(options)
        self._work = work

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        self._work.spend(_STEP)
        found = super().visit(node, *args, **kwargs)
        if isinstance(found, list):  # slices and flattened lists are made anew
            self._work.spend(len(found) // 8)
        return found

    def visit_comparator(self, node: Any, value: Any) -> Any:
        for child in node["children"]:  # lists and objects are compared through and through
            if isinstance(side := self.visit(child, value), (str, list, dict)):
                self._work.weigh(side)
        return super().visit_comparator(node, value)


class _Functions(functions.Functions):
    def __init__(self, work: _Work) -> None:
        self._work = work

    def call_function(self, function_name: str, resolved_args: Any) -> Any:
        if function_name in ("contains", "to_string"):
            for one in resolved_args:
                self._work.weigh(one)
        else:
            for one in resolved_args:
                self._work.spend(1 + len(one) // 8 if isinstance(one, (str, list, dict)) else 1)
        if function_name == "join" and len(resolved_args) == 2:
            self._weigh_joined(*resolved_args)
        return super().call_function(function_name, resolved_args)

    def _weigh_joined(self, separator: Any, parts: Any) -> None:
        if isinstance(separator, str) and isinstance(parts, list):
            self._work.spend(len(separator) * len(parts) // _CHARACTERS)
            self._work.weigh(parts)


def _whole(value: Any) -> Any:
    """`value` as JSON that can be written: `to_number` makes infinities, sums make numbers that are too long, `&x` no JSON at all."""
    match value:
        case None | bool() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case int():
            return value if value.bit_length() < 3 * _DIGITS else "(a number that is too long)"
        case list():
            return [_whole(one) for one in value]
        case dict():
            return {str(key): _whole(one) for key, one in value.items()}
    raise BadQuery("its result is no JSON")
