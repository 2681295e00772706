# -*- test-case-name: relaymail.test.test_conformance -*-
"""
Finds Twisted's tests of what relaymail replaces, and runs them.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from twisted.mail.test import test_bounce, test_mail, test_options, test_smtp
from twisted.trial import reporter
from twisted.trial.unittest import TestCase

from relaymail.test.conformance.readings import READINGS

#: How long one of the tests may take, in seconds: each needs far less than
#: one, and a hanging one is to fail and not to hang the suite.
PATIENCE = 20

#: The classes that test what is replaced; L{None} for all of a module.
CLASSES: dict[ModuleType, frozenset[str] | None] = {
    test_mail: frozenset(
        {
            "BounceTests",
            "BounceWithSMTPServerTests",
            "DirectoryQueueTests",
            "FileMessageTests",
            "LiveFireExerciseTests",
            "MXTests",
            "ManagedRelayerTests",
            "RelayTests",
            "RelayerTests",
            "ServiceDomainTests",
            "_AttemptManagerTests",
        }
    ),
    test_bounce: None,
    test_options: None,
    test_smtp: frozenset(
        {
            "AuthTests",
            "ESMTPAuthenticationTests",
            "ESMTPDowngradeTestCase",
            "SMTPClientErrorTests",
            "SMTPClientTests",
            "SMTPHelperTests",
            "SMTPSenderFactoryRetryTests",
            "SMTPSenderFactoryTests",
            "SSLTestCase",
            "SendmailTests",
            "SenderMixinSentMailTests",
            "TLSTests",
            "TimeoutTests",
        }
    ),
}

#: From best to worst: a test that reports twice is as bad as its worst.
_ORDER = ("ok", "skip", "fail", "error")


class Results(reporter.TestResult):
    """
    How each test ended, by its name.

    @ivar found: For each name how it ended, and the end of the traceback.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, tuple[str, str]] = {}

    def addSuccess(self, test: Any) -> None:
        """
        It passed.
        """
        super().addSuccess(test)
        self._note(test, "ok")

    def addSkip(self, test: Any, reason: Any) -> None:
        """
        It was skipped.
        """
        super().addSkip(test, reason)
        self._note(test, "skip", str(reason))

    def addFailure(self, test: Any, fail: Any) -> None:
        """
        An assertion failed.
        """
        super().addFailure(test, fail)
        self._note(test, "fail", _told(fail))

    def addError(self, test: Any, error: Any) -> None:
        """
        It raised.
        """
        super().addError(test, error)
        self._note(test, "error", _told(error))

    def _note(self, test: Any, how: str, text: str = "") -> None:
        name = getattr(test, "conformanceName", None)
        if name is None:
            name = nameOf(type(test), test._testMethodName)
        before = self.found.get(name, ("ok", ""))
        if name not in self.found or _ORDER.index(how) > _ORDER.index(before[0]):
            self.found[name] = (how, text)


def _told(error: Any) -> str:
    if hasattr(error, "getTraceback"):
        return str(error.getTraceback())[-2000:]
    return "".join(traceback.format_exception(*error))[-2000:]


def nameOf(case: type[Any], test: str) -> str:
    """
    Give the name a test is known by, such as C{"MXTests.testSimpleSuccess"}.
    """
    return f"{case.__name__}.{test}"


def run() -> dict[str, tuple[str, str]]:
    """
    Run every test in its effective reading: the Python 3 one where there is
    one, else the test as it stands.
    """
    results = Results()
    for case in _cases():
        for test in _testsOf(case):
            test(results)
    return results.found


def _cases() -> Iterator[type[Any]]:
    for module, wanted in CLASSES.items():
        for name, case in sorted(vars(module).items()):
            if not (inspect.isclass(case) and issubclass(case, TestCase)):
                continue
            ours = case.__module__ == module.__name__
            if ours and (wanted is None or name in wanted):
                yield case


def _testsOf(case: type[Any]) -> Iterator[Any]:
    case.timeout = PATIENCE
    methods = [n for n in dir(case) if n.startswith("test")]
    replaced = {}
    if case.__module__ == test_mail.__name__:
        replaced = {n: f for (c, n), f in READINGS.items() if c == case.__name__}
    for name in methods:
        if name not in replaced:
            setattr(case, name, _unskipped(getattr(case, name)))
            yield case(name)
    for name, reading in replaced.items():
        if name.partition("[")[0] in methods:
            yield _read(case, name, reading)


def _read(case: type[Any], name: str, reading: Any) -> Any:
    method = name.replace("[", "_").replace("]", "")
    made = type(case.__name__, (case,), {method: reading})
    test = made(method)
    test.conformanceName = nameOf(case, name)
    return test


def _unskipped(method: Any) -> Any:
    """
    Give the method under its "not ported to Python 3" mark, if it has one.
    """
    while "Python 3" in getattr(method, "__unittest_skip_why__", ""):
        method = method.__wrapped__
    return method
