# -*- test-case-name: relaymail.test.test_seeds -*-
"""
Tests that every row of the two pages this project was made from exists: the
page of the module C{relaymanager} and the page of its class
C{SMTPManagedRelayer}, inherited members and instance variables included.
"""

from __future__ import annotations

import inspect
import os
import pickle
import re
from pathlib import Path
from typing import Any

from twisted.application.internet import TimerService
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from relaymail import relaymanager

#: Where the pages stand beside the checkout, on some machines.
PAGES = Path(__file__).resolve().parents[3] / "shared" / "seeds"

#: The page of the module: kind, name, and what the class is.
MODULE: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Class", "CanonicalNameChainTooLong", ("Exception",)),
    ("Class", "CanonicalNameLoop", ("Exception",)),
    ("Class", "ESMTPManagedRelayer", ("ManagedRelayerMixin", "ESMTPRelayer")),
    ("Class", "ESMTPManagedRelayerFactory", ("SMTPManagedRelayerFactory",)),
    ("Class", "ManagedRelayerMixin", ()),
    ("Class", "MXCalculator", ()),
    ("Class", "Queue", ()),
    (
        "Class",
        "SmartHostESMTPRelayingManager",
        ("SmartHostSMTPRelayingManager",),
    ),
    ("Class", "SmartHostSMTPRelayingManager", ()),
    ("Class", "SMTPManagedRelayer", ("ManagedRelayerMixin", "SMTPRelayer")),
    ("Class", "SMTPManagedRelayerFactory", ("ClientFactory",)),
    ("Function", "RelayStateHelper", ()),
    ("Class", "_AttemptManager", ()),
    ("Function", "_checkState", ()),
)

#: The page of the class: the class a member is inherited from, its kind, and
#: the names.
MEMBERS: tuple[tuple[str, str, str], ...] = (
    ("SMTPManagedRelayer", "Method", "__init__"),
    ("SMTPManagedRelayer", "Instance Variable", "factory"),
    ("ManagedRelayerMixin", "Method", "connectionLost factory.setter sentMail"),
    ("ManagedRelayerMixin", "Instance Variable", "manager _factory"),
    (
        "RelayerMixin",
        "Method",
        "getMailData getMailFrom getMailTo loadMessages sentMail",
    ),
    ("RelayerMixin", "Instance Variable", "messages names"),
    (
        "SMTPClient",
        "Method",
        "connectionLost connectionMade finishedFileTransfer getMailData getMailFrom "
        "getMailTo lineReceived sendError sendLine sentMail smtpConnectionFailed "
        "smtpState_data smtpState_disconnect smtpState_from smtpState_helo "
        "smtpState_msgSent smtpState_to smtpState_toOrData smtpTransferFailed "
        "timeoutConnection transformChunk _disconnectFromServer",
    ),
    ("SMTPClient", "Class Variable", "debug timeout"),
    (
        "SMTPClient",
        "Instance Variable",
        "code identity lastAddress log mailFile resp successAddresses toAddresses "
        "toAddressesResult _expected _failresponse _from _okresponse",
    ),
    (
        "LineReceiver",
        "Method",
        "clearLineBuffer dataReceived lineLengthExceeded rawDataReceived "
        "setLineMode setRawMode",
    ),
    ("LineReceiver", "Constant", "MAX_LENGTH"),
    ("LineReceiver", "Class Variable", "delimiter"),
    ("LineReceiver", "Instance Variable", "line_mode _buffer _busyReceiving"),
    ("Protocol", "Method", "logPrefix"),
    ("BaseProtocol", "Method", "makeConnection"),
    ("BaseProtocol", "Instance Variable", "connected transport"),
    ("_PauseableMixin", "Method", "pauseProducing resumeProducing stopProducing"),
    ("_PauseableMixin", "Instance Variable", "paused"),
    ("TimeoutMixin", "Method", "callLater resetTimeout setTimeout __timedOut"),
    ("TimeoutMixin", "Instance Variable", "timeOut __timeoutCall"),
)


class Attempt:
    """
    An attempt manager as Twisted documents it, that wants to know nothing.
    """

    def notifySuccess(self, relay: object, message: str) -> None:
        """
        A message was sent.
        """

    notifyFailure = notifySuccess

    def notifyDone(self, relay: object) -> None:
        """
        The connection is closed.
        """


class ModulePageTests(SynchronousTestCase):
    """
    Tests for the page of the module.
    """

    def test_namesExist(self) -> None:
        """
        Every name of the page is in the module, and is what the page says.
        """
        for kind, name, bases in MODULE:
            found = getattr(relaymanager, name)
            if kind == "Function":
                self.assertTrue(inspect.isfunction(found), name)
                continue
            self.assertTrue(inspect.isclass(found), name)
            ancestors = {c.__name__ for c in found.__mro__}
            self.assertEqual(set(bases) - ancestors, set(), name)

    def test_functions(self) -> None:
        """
        The functions take the parameters of the page, and the helper is a
        timer that calls C{_checkState}.
        """
        manager: Any = object()
        helper = relaymanager.RelayStateHelper(manager=manager, delay=7)
        self.assertIsInstance(helper, TimerService)
        self.assertEqual(helper.step, 7)
        self.assertEqual(helper.call[:2], (relaymanager._checkState, (manager,)))
        parameters = inspect.signature(relaymanager._checkState).parameters
        self.assertEqual(list(parameters), ["manager"])

    def test_page(self) -> None:
        """
        Where the page stands beside the checkout, its rows are those above.
        """
        page = readPage("relaymanager-module.txt")
        rows = re.findall(r"^(Class|Function) (\w+) ", page, re.MULTILINE)
        self.assertEqual(rows, [(kind, name) for kind, name, _ in MODULE])


class ClassPageTests(SynchronousTestCase):
    """
    Tests for the page of C{SMTPManagedRelayer}.
    """

    def setUp(self) -> None:
        """
        Make a relayer with one message, and talk to it until it sends it.
        """
        directory = self.mktemp()
        os.makedirs(directory)
        path = os.path.join(directory, "message")
        with open(f"{path}-H", "wb") as envelope:
            pickle.dump(["from@example.com", "to@example.net"], envelope)
        with open(f"{path}-D", "wb") as content:
            content.write(b"Subject: one\n\ntext\n")
        factory = relaymanager.SMTPManagedRelayerFactory(
            [path], Attempt(), b"relay.example.com"
        )
        self.relayer: Any = factory.buildProtocol(None)
        self.transport = StringTransport()
        self.addCleanup(self.relayer.setTimeout, None)
        self.relayer.makeConnection(self.transport)
        for answer in (b"220 hello", b"250 you", b"250 from", b"250 to", b"354 go"):
            self.relayer.dataReceived(answer + b"\r\n")
        self.written = self.transport.value()
        self.variables = set(dir(self.relayer))
        self.relayer._disconnectFromServer()
        self.relayer.connectionLost()
        self.variables |= set(dir(self.relayer))

    def test_classesAreInherited(self) -> None:
        """
        The relayer inherits from every class of the page.
        """
        ancestors = {c.__name__ for c in relaymanager.SMTPManagedRelayer.__mro__}
        self.assertEqual({source for source, _, _ in MEMBERS} - ancestors, set())

    def test_members(self) -> None:
        """
        The relayer has every member of the page: methods are callable, class
        variables and constants stand on the class, instance variables on the
        instance by the time it sends a message or has ended the session.
        """
        self.assertIn(b"DATA\r\n", self.written)
        for source, kind, names in MEMBERS:
            for name in names.split():
                self.assertMember(source, kind, name)

    def assertMember(self, source: str, kind: str, name: str) -> None:
        """
        Fail where there is no such member of that kind.
        """
        told = f"{source}: {kind} {name}"
        if name.startswith("__") and not name.endswith("__"):
            name = f"_{source}{name}"
        if name.endswith(".setter"):
            found = getattr(type(self.relayer), name.removesuffix(".setter"))
            self.assertIsNotNone(found.fset, told)
        elif kind == "Method":
            self.assertTrue(callable(getattr(self.relayer, name, None)), told)
        elif kind == "Instance Variable":
            self.assertIn(name, self.variables, told)
        else:
            self.assertTrue(hasattr(type(self.relayer), name), told)

    def test_parameters(self) -> None:
        """
        The relayer takes the parameters of the page.
        """
        parameters = inspect.signature(relaymanager.SMTPManagedRelayer).parameters
        self.assertEqual(
            [str(p).partition(":")[0] for p in parameters.values()],
            ["messages", "manager", "*args", "**kw"],
        )

    def test_page(self) -> None:
        """
        Where the page stands beside the checkout, its rows are those above.
        """
        rows: list[tuple[str, str, str]] = []
        source = "SMTPManagedRelayer"
        for line in readPage("SMTPManagedRelayer-class.txt").splitlines():
            inherited = re.match(r"\s*Inherited from (\w+)", line)
            source = inherited[1] if inherited else source
            row = re.match(r"\| (Method|Constant|\w+ Variable) \| ([\w.]+) \|", line)
            if row:
                rows.append((source, row[1], row[2]))
        ours = [(s, k, name) for s, k, names in MEMBERS for name in names.split()]
        self.assertEqual(sorted(rows), sorted(ours))


def readPage(name: str) -> str:
    """
    Read one of the pages, or skip the test where they are not there.
    """
    page = PAGES / name
    if not page.exists():
        raise SkipTest("no ../shared/seeds beside this checkout")
    return page.read_text("utf-8")
