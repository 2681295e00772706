# -*- test-case-name: relaymail.test.test_units -*-
"""
Tests that unit tests are units: they neither sleep, nor open a socket, nor read
the real time, nor start a process.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from relaymail.test.test_house import Module, modules

#: What tests that are units do not import.
REAL = frozenset(
    {"asyncio", "multiprocessing", "select", "socket", "subprocess", "threading"}
    | {"time", "relaymail.test.endtoend", "twisted.internet.reactor"}
)

#: Tests of what is real, and why they are not units.
NO_UNITS = {
    "relaymail.test.endtoend": "real sockets and processes",
    "relaymail.test.hostile": "real sockets and processes",
    "relaymail.test.interop": "real sockets and processes of others",
    "relaymail.test.bench.test_children": "starts processes",
    "relaymail.test.configuration.test_secrets": "runs commands",
    "relaymail.test.conformance": "runs Twisted's own tests",
    "relaymail.test.test_conformance": "runs them in a process",
    "relaymail.test.test_packaging": "installs the package",
    "relaymail.test.test_process": "runs twistd",
    "relaymail.test.sockets": "real sockets, for what only they do",
    "relaymail.test.test_worker": "the thread itself",
}

#: What one unit test has of this all the same, and why.
ALLOWED = {
    ("relaymail.test.test_clocks", "threading"): "the guard has a thread",
    ("relaymail.test.test_machine", "socket"): "is patched",
    ("relaymail.test.cli.test_main", "subprocess"): "what an import imports",
    ("relaymail.test.cli.test_fsck", "subprocess"): "what an import imports",
    ("relaymail.test.doctor.test_answers", "threading"): "each check has a thread",
    ("relaymail.test.test_notify", "socket"): "what is told to one",
    ("relaymail.test.test_privileges", "subprocess"): "a process has its ids",
    ("relaymail.test.cli.test_sendmail", "subprocess"): "what an import imports",
    ("relaymail.test.cli.test_status", "time"): "is patched",
    ("relaymail.test.testing.test_exports", "subprocess"): "what an import imports",
    ("relaymail.test.deliver.test_attempts", "twisted.internet.reactor"): "is it",
    ("relaymail.test.test_logs", "time"): "sets the zone",
    ("relaymail.test.test_logs", "twisted.internet.reactor"): "is patched",
    ("relaymail.test.deliver.test_senders", "twisted.internet.reactor"): "is patched",
}


class UnitTests(SynchronousTestCase):
    """
    The tests that are not end to end are units.
    """

    def test_nothingReal(self) -> None:
        """
        They import nothing real.
        """
        broken = [
            f"{module.name} imports {name}"
            for module in modules()
            if module.isTest and not isException(module.name)
            for name in imported(module)
            if name in REAL and (module.name, name) not in ALLOWED
        ]
        if broken:
            self.fail("\n".join(["Test it on the network in memory:", *broken]))

    def test_exceptionsAreThere(self) -> None:
        """
        What is allowed is needed.
        """
        found = {
            (module.name, name) for module in modules() for name in imported(module)
        }
        self.assertEqual(set(ALLOWED) - found, set())


def isException(name: str) -> bool:
    """
    Tell whether a module's tests are no units.
    """
    return any(name == each or name.startswith(f"{each}.") for each in NO_UNITS)


def imported(module: Module) -> Iterator[str]:
    """
    Give what a module imports: modules, and what it takes from them.
    """
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
