# -*- test-case-name: relaymail.test.test_conformance -*-
"""
Compares relaymail's modules with the API that Twisted documents.

C{api.json} holds, for each class and module, its bases and its members but
those of Python's own machinery: the parameters with their defaults for what is
called, and where it is found for what is not.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any

#: The modules whose names are ours.
MODULES = ("relaymanager", "relay", "bounce", "smtp")

#: A parameter's default that is no literal.
_SOMETHING = object()


@dataclass(frozen=True, slots=True)
class Parameter:
    """
    One parameter of a callable.

    @ivar name: Its name.
    @ivar kind: C{""}, C{"*"}, C{"**"} or C{"keyword"}.
    @ivar default: Its default as text, C{"Ellipsis"} for one that is no literal,
        L{None} where there is none.
    """

    name: str
    kind: str
    default: str | None


def documented() -> dict[str, Any]:
    """
    Give what Twisted documents.
    """
    text = resources.files(__package__).joinpath("api.json").read_text("utf-8")
    api: dict[str, Any] = json.loads(text)
    return api


def differences() -> list[str]:
    """
    Compare, and give a line for each difference.  Added optional parameters
    and added members are none.
    """
    found: list[str] = []
    for path, entry in documented().items():
        parts = path.split(".")
        if parts[2] not in MODULES:
            continue
        module = importlib.import_module(f"relaymail.{parts[2]}")
        target = getattr(module, parts[3], None) if parts[3:] else module
        if target is None:
            found.append(f"{path} is missing")
            continue
        found += [f"{path}: {what}" for what in _compare(target, entry)]
    return found


def _compare(target: Any, entry: dict[str, Any]) -> list[str]:
    found = []
    if inspect.isclass(target):
        ancestors = {c.__name__ for c in target.__mro__}
        bases = {base.rpartition(".")[2] for base in entry["bases"]}
        found += [f"is no {base}" for base in sorted(bases - ancestors)]
    for name, what in entry["members"].items():
        if what == "instance":
            continue
        member = getattr(target, name, _SOMETHING)
        if member is _SOMETHING:
            found.append(f"{name} is missing")
        elif what.startswith("("):
            found += _compareParameters(name, member, what)
    return found


def _compareParameters(name: str, member: Any, text: str) -> list[str]:
    try:
        plain = inspect.unwrap(getattr(member, "__func__", member))
        ours = parametersOf(str(inspect.signature(plain)))
    except (TypeError, ValueError):
        return []  # written in C, and so not ours
    theirs = parametersOf(text)
    rest = list(ours)
    for parameter in theirs:
        if parameter not in rest:
            return [f"{name} takes {ours}, documented is {theirs}"]
        rest.remove(parameter)
    if any(p.default is None and not p.kind.startswith("*") for p in rest):
        return [f"{name} wants {rest}, which is not documented"]
    if [p for p in ours if p in theirs] != theirs:
        return [f"{name} takes {ours} in another order than {theirs}"]
    return []


def parametersOf(signature: str) -> list[Parameter]:
    """
    Read a signature as L{inspect} shows it.  Annotations do not count.
    """
    text = re.sub(r"<[^<>]*>", "...", signature.split(" -> ")[0])
    statement = ast.parse(f"def f{text}: pass").body[0]
    assert isinstance(statement, ast.FunctionDef)
    arguments = statement.args
    plain = arguments.posonlyargs + arguments.args
    defaults: list[ast.expr | None] = [None] * len(plain)
    defaults = [*defaults, *arguments.defaults][len(arguments.defaults) :]
    found = [
        Parameter(argument.arg, "", _default(default))
        for argument, default in zip(plain, defaults, strict=True)
    ]
    if arguments.vararg:
        found.append(Parameter(arguments.vararg.arg, "*", None))
    for argument, default in zip(
        arguments.kwonlyargs, arguments.kw_defaults, strict=True
    ):
        found.append(Parameter(argument.arg, "keyword", _default(default)))
    if arguments.kwarg:
        found.append(Parameter(arguments.kwarg.arg, "**", None))
    return found


def _default(node: ast.expr | None) -> str | None:
    if node is None:
        return None
    try:
        return repr(ast.literal_eval(node))
    except ValueError:
        return "Ellipsis"
