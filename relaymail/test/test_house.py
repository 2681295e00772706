# -*- test-case-name: relaymail.test.test_house -*-
"""
Tests that the rules of the house are kept, by reading the source.

A rule that is broken is told with its reason and with what to do instead.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

PACKAGE = Path(__file__).resolve().parents[1]

#: What every room may import.
NOUNS = frozenset(
    {"addresses", "envelopes", "headers", "replies", "outcomes", "errors"}
    | {"inspection", "alarms", "protections"}
)
SHARED = (
    NOUNS
    | {"interfaces", "identities", "dialogue", "prompt", "bindings"}
    | {"fetching", "keeping"}
)

#: The rooms: the mail walks through them, and they do not know each other.
ROOMS = frozenset({"intake", "queue", "schedule", "route", "outcome"})

#: The modules where the seed's classes live, with those behind them: they may
#: import rooms.
ENGINE = frozenset({"smtp", "relay", "relaymanager", "bounce", "deliver"})

#: What programs use, pure as the nouns.
FACES = frozenset({"submission", "machines"})

#: The places that know the floor plan.
WIRING = frozenset(
    {"service", "configuration", "tap", "clocks", "machine", "certificates"}
    | {"worker", "cli", "logs", "admin", "notify", "dropping", "ports", "assembly"}
    | {"daemon", "doctor", "privileges", "reloading", "oauth2", "siren"}
    | {"policies", "vouching"}
    | {"stopping", "tlsreports"}
)

#: What is beside the house.
BESIDE = frozenset({"testing", "test", "bench"})

#: The modules of C{route} that speak to the world, and to the resolver; the
#: others are pure.
ROUTE_HANDS = frozenset(
    {
        "book",
        "connector",
        "dialing",
        "endpoints",
        "fetching",
        "lookup",
        "mx",
        "policies",
        "protecting",
        "resolver",
        "router",
        "tlscontexts",
        "troubles",
        "validation",
        "wire",
        "texts",
    }
)

#: Where nothing is pure.
HANDS = (
    WIRING
    | BESIDE
    | {"engine", "intake", "interfaces", "identities", "prompt", "bindings"}
    | {"fetching", "keeping"}
)

#: The pure modules of the queue's room: it is about files.
QUEUE_PURE = frozenset({"records", "backlog"})

#: The pure modules of the bench; the others run processes.
BENCH_PURE = frozenset({"errors", "figures", "mail"})

#: What would make a pure module depend on the world or on chance.
WORLD = frozenset({"twisted", "time", "random", "os", "socket"})

#: The only module that may load pickles, with a reader that runs nothing.
PICKLES = "relaymail.queue.pickles"

MAX_LINES = 450
MAX_TEST_LINES = 700

#: The modules that may be longer, in lines, and why.
LONG = {
    # The page of the seed is one module, and programs put others in the place
    # of its classes there.
    "relaymail.relaymanager": 640,
}


@dataclass(frozen=True)
class Module:
    """
    One module's source.

    @ivar name: Its dotted name.
    @ivar path: Its file.
    @ivar text: Its source.
    @ivar tree: Its source, parsed.
    """

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def isTest(self) -> bool:
        """
        Whether it is part of the tests.
        """
        return self.name.startswith("relaymail.test.") or self.name == "relaymail.test"

    @property
    def room(self) -> str:
        """
        The part of the house it is in.
        """
        part = [*self.name.split("."), ""][1]
        return "engine" if part in ENGINE else part

    @property
    def isPure(self) -> bool:
        """
        Whether it is to depend on nothing but its arguments.
        """
        last = self.name.rpartition(".")[2]
        if self.room == "route":
            return last not in ROUTE_HANDS
        if self.room == "queue":
            return last in QUEUE_PURE
        if self.room == "bench":
            return last in BENCH_PURE
        return self.room not in HANDS


@functools.cache
def modules() -> tuple[Module, ...]:
    """
    Give all modules of the package.
    """
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        text = path.read_text("utf-8")
        found.append(Module(name, path, text, ast.parse(text)))
    return tuple(found)


def product() -> list[Module]:
    """
    Give the modules that are no tests.
    """
    return [module for module in modules() if not module.isTest]


def imports(module: Module) -> Iterator[tuple[int, str]]:
    """
    Give the line and the dotted name of everything a module imports, those
    within functions included, those for the type checker not.
    """
    for node in _walkRuntime(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.name.split(".")
                if module.path.name != "__init__.py":
                    package = package[:-1]
                package = package[: len(package) - node.level + 1]
                base = ".".join([*package, base]).rstrip(".")
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def _walkRuntime(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node
        yield from _walkRuntime(node)


def calls(module: Module, *names: str) -> Iterator[tuple[int, str]]:
    """
    Give the line and the name of each use of one of these dotted names.
    """
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = f"{node.value.id}.{node.attr}"
            if name in names:
                yield node.lineno, name


def undocumented(module: Module) -> Iterator[tuple[int, str]]:
    """
    Give the line and the name of each public thing without a docstring.
    """
    if not ast.get_docstring(module.tree):
        yield 1, "the module"
    yield from _undocumentedIn(module.tree, "")


def _undocumentedIn(
    scope: ast.Module | ast.ClassDef, prefix: str
) -> Iterator[tuple[int, str]]:
    overloads = set()
    for node in scope.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("_") or _isVariant(node):
            continue
        if node.name in ("setUp", "tearDown"):
            continue  # trial says what these are for
        if not ast.get_docstring(node) and node.name not in overloads:
            yield node.lineno, prefix + node.name
        overloads.add(node.name)
        if isinstance(node, ast.ClassDef):
            yield from _undocumentedIn(node, f"{prefix}{node.name}.")


def _isVariant(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """
    Tell whether it is an overload or a setter, told of at the main one.
    """
    told = [ast.unparse(decorator) for decorator in node.decorator_list]
    return any(t.endswith((".setter", ".deleter", "overload")) for t in told)


class HouseTests(SynchronousTestCase):
    """
    The rules.
    """

    def assertNone(self, broken: list[str], rule: str) -> None:
        """
        Fail, with the rule, where something breaks it.
        """
        if broken:
            self.fail("\n".join([rule, *broken]))

    def test_roomsDoNotKnowEachOther(self) -> None:
        """
        A room imports the nouns, the interfaces, the dialogue and itself.
        """
        broken = []
        for module in product():
            if module.room not in ROOMS | SHARED:
                continue
            allowed = SHARED | {module.room}
            if module.room in NOUNS:
                allowed = NOUNS
            for line, name in imports(module):
                parts = name.split(".")
                if parts[0] == "relaymail" and parts[1:2] and parts[1] not in allowed:
                    broken.append(f"{module.path}:{line}: {module.name} -> {name}")
        self.assertNone(
            broken,
            "A room imports the nouns, the interfaces, the dialogue and itself, so "
            "that each can be read, tested and replaced alone. Take what you need as "
            "an argument, or let relaymanager or service put the two together:",
        )

    def test_engineDoesNotKnowTheWiring(self) -> None:
        """
        Everything works without the service.
        """
        broken = []
        for module in product():
            if module.room in WIRING | BESIDE or not module.room:
                continue
            for line, name in imports(module):
                if (
                    name.startswith("relaymail.")
                    and name.split(".")[1] in WIRING | BESIDE
                ):
                    broken.append(f"{module.path}:{line}: {module.name} -> {name}")
        self.assertNone(
            broken,
            "Only service, configuration and tap know the floor plan: the relaying "
            "manager works without them. Let the service set what you need:",
        )

    def test_everyModuleHasItsPlace(self) -> None:
        """
        A new module is in a room, a noun, the engine or the wiring.
        """
        known = ROOMS | SHARED | FACES | WIRING | BESIDE | {"engine", ""}
        broken = [f"{m.path}: {m.room}" for m in product() if m.room not in known]
        self.assertNone(
            broken,
            "Each module belongs to a room, the nouns, the engine or the wiring; "
            "say which in test_house, and it is held to the rules of that place:",
        )

    def test_pureModulesDoNotTouchTheWorld(self) -> None:
        """
        Time and chance come in as arguments.
        """
        broken = [
            f"{module.path}:{line}: imports {name}"
            for module in product()
            if module.isPure
            for line, name in imports(module)
            if name.split(".")[0] in WORLD
        ]
        self.assertNone(
            broken,
            "Brains before hands: a pure module imports neither Twisted nor time, "
            "random, os or socket, so that it can be tried with every input in "
            "microseconds. Take the time, the random function or the bytes as "
            "arguments, and do the rest in the hands:",
        )

    def test_nobodyImportsTheReactorAtModuleLevel(self) -> None:
        """
        The reactor is taken late.
        """
        broken = []
        for module in product():
            for node in module.tree.body:
                if not isinstance(node, ast.Import | ast.ImportFrom):
                    continue
                if "twisted.internet" in ast.unparse(node) and re.search(
                    r"\breactor\b", ast.unparse(node)
                ):
                    broken.append(f"{module.path}:{node.lineno}")
        self.assertNone(
            broken,
            "Importing the reactor installs one, and a test cannot give another. "
            "Take the narrowest interface as an argument that defaults to None, and "
            "import the reactor where it is needed:",
        )

    def test_nobodyAsksTheWallClock(self) -> None:
        """
        C{time.time} is called by nobody.
        """
        broken = [
            f"{module.path}:{line}: {name}"
            for module in product()
            for line, name in calls(
                module, "time.time", "datetime.now", "datetime.utcnow"
            )
        ]
        broken += [
            f"{module.path}:{line}: {name}"
            for module in product()
            for line, name in imports(module)
            if name == "time.time"
        ]
        self.assertNone(
            broken,
            "The wall clock steps, and a test cannot set it. Ask the seconds() of a "
            "clock that is given (IReactorTime, QueueClock):",
        )

    def test_nobodyLoadsPickles(self) -> None:
        """
        Reading a pickle never runs code.
        """
        names = ("pickle.load", "pickle.loads", "pickle.Unpickler", "shelve.open")
        broken = [
            f"{module.path}:{line}: {name}"
            for module in product()
            if module.name != PICKLES
            for line, name in calls(module, *names, "marshal.load", "marshal.loads")
        ]
        broken += [
            f"{module.path}:{line}: {name}"
            for module in product()
            if module.name != PICKLES
            for line, name in imports(module)
            if name in names
        ]
        self.assertNone(
            broken,
            "A pickle is a program, and a spool can hold one that somebody else "
            f"wrote. Read it with {PICKLES}, which lets only plain values out:",
        )

    def test_everythingPublicIsDocumented(self) -> None:
        """
        Every public module, class, function and method has a docstring.
        """
        broken = [
            f"{module.path}:{line}: {name}"
            for module in modules()
            if module.text  # an empty __init__ says nothing
            for line, name in undocumented(module)
        ]
        self.assertNone(
            broken, "Say what it means, its units and its RFC section in a docstring:"
        )

    def test_filesAreShort(self) -> None:
        """
        A file has one concern.
        """
        broken = []
        for module in modules():
            lines = module.text.count("\n")
            usual = MAX_TEST_LINES if module.isTest else MAX_LINES
            if lines > LONG.get(module.name, usual):
                broken.append(f"{module.path}: {lines} lines")
        self.assertNone(broken, "A file has one concern; split it where it has two:")

    def test_firstLineNamesTheTests(self) -> None:
        """
        C{trial --testmodule FILE} finds the tests of every module.
        """
        names = {module.name for module in modules()}
        broken = []
        for module in modules():
            found = re.match(r"# -\*- test-case-name: ([\w.,]+) -\*-\n", module.text)
            if found is None and (module.isTest or module.path.name == "__init__.py"):
                continue
            told = found[1].split(",") if found else ["no test-case-name"]
            broken += [f"{module.path}: {name}" for name in told if name not in names]
        self.assertNone(
            broken,
            "The first line of a module names the module that tests it "
            "(# -*- test-case-name: relaymail.test.test_x -*-):",
        )


class RulesTests(SynchronousTestCase):
    """
    Tests that the readers of the source can find what they look for.
    """

    def module(self, text: str, name: str = "relaymail.queue.sample") -> Module:
        """
        Make a module of some source.
        """
        return Module(name, Path("sample.py"), text, ast.parse(text))

    def test_imports(self) -> None:
        """
        Imports in functions and relative ones are found, those for the type
        checker are not.
        """
        text = (
            "import os.path\n"
            "from . import records\n"
            "from ..route import hosts\n"
            "if TYPE_CHECKING:\n    import socket\n"
            "def f():\n    from time import time\n"
        )
        self.assertEqual(
            [name for _, name in imports(self.module(text))],
            [
                "os.path",
                "relaymail.queue.records",
                "relaymail.route.hosts",
                "time.time",
            ],
        )

    def test_calls(self) -> None:
        """
        A use of a dotted name is found.
        """
        text = "x = [time.time() for _ in y]\ntime.monotonic()\n"
        found = list(calls(self.module(text), "time.time"))
        self.assertEqual(found, [(1, "time.time")])

    def test_undocumented(self) -> None:
        """
        Public things without docstrings are found, private ones are not.
        """
        text = "class A:\n    def b(self): ...\n    def _c(self): ...\n"
        found = [name for _, name in undocumented(self.module(text))]
        self.assertEqual(found, ["the module", "A", "A.b"])

    def test_pure(self) -> None:
        """
        The nouns, the dialogue, the schedule and the verdicts are pure; the
        queue on the disk and the intake are not.
        """
        for name in ("addresses", "dialogue.client", "schedule.backoff", "route.hosts"):
            self.assertTrue(self.module("", f"relaymail.{name}").isPure, name)
        for name in ("queue.directory", "intake.server", "relaymanager", "route.mx"):
            self.assertFalse(self.module("", f"relaymail.{name}").isPure, name)

    def test_pureBench(self) -> None:
        """
        The figures of the bench are pure, its processes are not.
        """
        self.assertTrue(self.module("", "relaymail.bench.figures").isPure)
        self.assertFalse(self.module("", "relaymail.bench.sink").isPure)
