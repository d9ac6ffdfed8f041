"""JMESPath (https://jmespath.org/specification.html) over an API's data, bounded: the model's expressions and the data are untrusted.

A few dozen characters such as `[@,@]|[@,@]|...` build values of any size, so each search has a budget of work; what is found is whole
JSON again. What an expression may be used for is not this file's concern.
"""

from __future__ import annotations

import math
import re
from decimal import Context, Decimal, localcontext
from functools import lru_cache
from typing import Any

import jmespath
from jmespath import exceptions, functions, lexer, parser, visitor
from jmespath.functions import signature

from base.json_text import dumps, loads
from base.written_numbers import decimal

MAX_EXPRESSION = 1_000  # characters
BUDGET = 2_000_000  # about as many looks at single values: a second or two
_STEP = 3  # what one node of an expression at one value costs, measured against looking at a value
_CHARACTERS = 32  # of a text that cost as much as a look at a value
_DIGITS = 4_300  # of a number; Python writes no longer ones
_EXACT = Context(prec=_DIGITS)  # for sums
_SHARE = 16  # digits of an average, at least; as many as a float has
_NUMBERS = {"Decimal", "WrittenDecimal"}  # what JMESPath's library calls types by


class BadQuery(Exception):
    """An expression that is none, does not fit the data, or asks for too much. Its text says so, in few words and none of the data."""


class _Spent(Exception):
    """The budget is used up."""


def check_expression(expression: str) -> None:
    """Raises `BadQuery` where `expression` is none."""
    if len(expression) > MAX_EXPRESSION:
        raise BadQuery(f"it is longer than {MAX_EXPRESSION:,} characters")
    try:
        _parsed(expression)
    except RecursionError:
        raise BadQuery("it is nested too deeply") from None
    except (exceptions.JMESPathError, ValueError) as error:
        at = getattr(error, "lex_position", None)
        raise BadQuery(f"not valid JMESPath{f', at character {at + 1}' if isinstance(at, int) else ''}") from None


def search(expression: str, value: Any, budget: int = BUDGET) -> Any:
    """What `expression` finds in `value` (JSON), as whole JSON. Raises `BadQuery`."""
    check_expression(expression)
    work = _Work(budget)
    options = jmespath.Options(custom_functions=_Functions(work))
    try:
        found = _Interpreter(work, options).visit(_parsed(expression), value)
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


_AnyLexer: type[Any] = lexer.Lexer  # the library's types leave out what is overridden here
_AnyParser: type[Any] = parser.Parser
_AnyFunctions: type[Any] = functions.Functions


class _Lexer(_AnyLexer):  # type: ignore[misc]
    """Reads the numbers of an expression digit by digit, as those of the data are."""

    def _consume_literal(self) -> Any:
        written = re.match(r"`((?:[^`\\]|\\.)*)`", self._expression[self._position :], re.DOTALL)
        token = super()._consume_literal()
        if written is not None and not isinstance(token["value"], str):
            token["value"] = loads(written[1].replace("\\`", "`"))
        return token


class _Parser(_AnyParser):  # type: ignore[misc]
    def _parse(self, expression: str) -> Any:
        self._tokens = list(_Lexer().tokenize(expression))
        self._index = 0
        found = self._expression(binding_power=0)
        if self._current_token() != "eof":
            token = self._lookahead_token(0)
            raise exceptions.ParseError(token["start"], token["value"], token["type"], "Unexpected token")
        return found


@lru_cache(maxsize=256)
def _parsed(expression: str) -> Any:
    return _Parser()._do_parse(expression)


class _Work:
    """What a search may still cost."""

    def __init__(self, budget: int) -> None:
        self._left = budget

    def spend(self, amount: int) -> None:
        self._left -= amount
        if self._left < 0:
            raise _Spent

    def weigh(self, value: Any) -> None:
        """Spends what a look at all of `value` costs. What stands in it several times counts each time, as it will be written."""
        waiting: list[Any] = [[value]]
        while waiting:
            one = waiting.pop()
            within = [*one, *one.values()] if isinstance(one, dict) else one  # the keys, too
            texts = 0
            for each in within:
                if isinstance(each, str):
                    texts += len(each) // _CHARACTERS
                elif isinstance(each, (list, dict)):
                    waiting.append(each)
            self.spend(len(within) + texts)


class _Interpreter(visitor.TreeInterpreter):
    def __init__(self, work: _Work, options: jmespath.Options) -> None:
        super().__init__(options)
        self._work = work

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        self._work.spend(_STEP)
        found = super().visit(node, *args, **kwargs)
        if isinstance(found, list):  # slices and flattened lists are made again
            self._work.spend(len(found) // 8)
        return found

    def visit_comparator(self, node: Any, value: Any) -> Any:
        for child in node["children"]:  # lists and objects are compared through and through
            if isinstance(side := self.visit(child, value), (str, list, dict)):
                self._work.weigh(side)
        return super().visit_comparator(node, value)


class _Functions(_AnyFunctions):  # type: ignore[misc]
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

    def _get_allowed_pytypes(self, types: Any) -> Any:
        allowed, inner = super()._get_allowed_pytypes(types)
        return _with_decimals(allowed), [_with_decimals(some) for some in inner]

    def _convert_to_jmespath_type(self, name: str) -> Any:
        return "number" if name in _NUMBERS else super()._convert_to_jmespath_type(name)

    # Those that would give floats, round, or not know a Decimal:

    @signature({"types": ["number"]})
    def _func_abs(self, number: Any) -> Any:
        return number.copy_abs() if isinstance(number, Decimal) else abs(number)

    @signature({"types": ["array-number"]})
    def _func_sum(self, numbers: Any) -> Any:
        with localcontext(_EXACT):
            return sum(numbers)

    @signature({"types": ["array-number"]})
    def _func_avg(self, numbers: Any) -> Any:
        if not numbers:
            return None
        total = Decimal(self._func_sum(numbers))
        with localcontext(Context(prec=max(_SHARE, len(total.as_tuple().digits)))):
            return total / len(numbers)

    @signature({"types": []})
    def _func_to_number(self, given: Any) -> Any:
        if isinstance(given, str):
            try:
                return int(given)
            except ValueError:
                return decimal(given.strip())
        return given if isinstance(given, (int, Decimal)) and not isinstance(given, bool) else None

    @signature({"types": []})
    def _func_to_string(self, given: Any) -> Any:
        return given if isinstance(given, str) else dumps(given, separators=(",", ":"), default=str)

    @signature({"types": []})
    def _func_type(self, given: Any) -> Any:
        return "number" if isinstance(given, Decimal) else super()._func_type(given)

    def _weigh_joined(self, separator: Any, parts: Any) -> None:
        if isinstance(separator, str) and isinstance(parts, list):
            self._work.spend(len(separator) * len(parts) // _CHARACTERS)
            self._work.weigh(parts)


def _with_decimals(names: Any) -> Any:
    """The names of Python's types, with those that are numbers here."""
    return [*names, *_NUMBERS] if "float" in names else names


def _whole(value: Any) -> Any:
    """`value` as JSON that can be written: sums make numbers that are too long, `&x` no JSON at all."""
    match value:
        case None | bool() | str():
            return value
        case float() | Decimal():
            return value if math.isfinite(value) else str(value)
        case int():
            return value if value.bit_length() < 3 * _DIGITS else "(a number that is too long)"
        case list():
            return [_whole(one) for one in value]
        case dict():
            return {str(key): _whole(one) for key, one in value.items()}
    raise BadQuery("its result is not JSON")
