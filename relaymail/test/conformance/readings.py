# -*- test-case-name: relaymail.test.test_conformance -*-
"""
What the tests that Twisted never ported say on Python 3.

A reading keeps what a test asserts and changes only what the test itself takes
from Python 2: native strings for what goes over the wire, keys of the
authority, and a maildir delivery that is not ported.
"""

from __future__ import annotations

import email.parser
import io
import os
from collections.abc import Callable
from typing import Any

from twisted import mail as package
from twisted.cred.checkers import AllowAnonymousAccess
from twisted.internet import protocol, reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.testing import LineSendingProtocol
from twisted.mail import interfaces, mail, smtp
from twisted.mail.test import test_mail
from zope.interface import implementer

Reading = Callable[[Any], Any]

_DOMAIN = b"destination.domain"
_CLIENT_LINES = [
    b"HELO elsewhere",
    b"MAIL FROM: <user@sender.domain>",
    b"RCPT TO: <user@destination.domain>",
    b"DATA",
    b"One line to carry",
    b".",
    b"QUIT",
]


def simpleSuccess(case: Any) -> Any:
    """
    The authority is asked for bytes.
    """
    return _oneExchange(case, "test.domain")


def simpleSuccessBytes(case: Any) -> Any:
    """
    The domain may also be given as bytes, as the docstrings say.
    """
    return _oneExchange(case, b"test.domain")


def _oneExchange(case: Any, domain: Any) -> Any:
    case.auth.addresses[b"test.domain"] = ["the.email.test.domain"]
    return case.mx.getMX(domain).addCallback(case._cbSimpleSuccess)


def manyRecords(case: Any) -> Any:
    """
    The authority is asked for bytes.
    """
    hosts = ["mx1.test.domain", "mx2.test.domain", "mx3.test.domain"]
    case.auth.addresses[b"test.domain"] = hosts
    d = case.mx.getMX("test.domain")
    return d.addCallback(case._cbManyRecordsSuccessfulLookup)


def mailData(case: Any) -> None:
    """
    Content is bytes: C{getMailData} gives a binary file.
    """
    for i in range(10):
        expected = os.path.join(case.tmpdir, f"body-{i}").encode()
        case.assertEqual(case.R.getMailData().read(), expected)
        case.R.sentMail(250, None, None, None, None)
    case.assertIsNone(case.R.getMailData())


def receivedHeader(case: Any) -> None:
    """
    The name of the client, its address and the header are bytes.
    """
    case.D.protocolName = b"TEST"
    case.D.host = b"hostname"
    header = case.D.receivedHeader(
        (b"remotehost", b"192.0.2.7"),
        smtp.Address(b"<someone@somewhere>"),
        [b"user@host.name"],
    )
    case.assertIn(b"Received: ", header)
    parsed = email.parser.BytesParser().parse(io.BytesIO(header + b"\n\n"))
    case.assertEqual(len(parsed.items()), 1)


def validateTo(case: Any) -> Any:
    """
    The domain of a C{User} is bytes, and so is the registered name.
    """
    case.S.addDomain(b"test.domain", case.S.domains["test.domain"])
    user = smtp.User("user@test.domain", "helo", None, "wherever@whatever")
    return maybeDeferred(case.D.validateTo, user).addCallback(case._cbValidateTo)


@implementer(interfaces.IDomain)
class MemoryDomain:
    """
    A destination that keeps its messages in memory: the delivery into a
    maildir is itself not ported.
    """

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def exists(self, user: Any) -> Callable[[], Any]:
        """
        Everybody exists.
        """

        def startMessage() -> Any:
            message = test_mail.LineBufferMessage()
            self.messages.append(message)
            return message

        return startMessage

    def addUser(self, user: Any, password: Any) -> None:
        """
        Everybody exists already.
        """

    def requestAvatar(self, avatarId: Any, mind: Any, *interfaces: Any) -> Any:
        """
        Nobody logs in.
        """
        raise NotImplementedError

    def getCredentialsCheckers(self) -> list[Any]:
        """
        Nobody logs in.
        """
        return []


def relayDelivery(case: Any) -> Any:
    """
    SMTP lines, domains and keys of the authority are bytes.
    """
    insertion = _service(case, "insertionQueue")
    insertion.domains.setDefaultDomain(package.relay.DomainQueuer(insertion))
    domain = MemoryDomain()
    destination = _service(case, "destinationQueue")
    destination.addDomain(_DOMAIN, domain)
    case.auth.addresses[_DOMAIN] = ["127.0.0.1"]
    case.insServer = _listen(insertion)
    case.destServer = _listen(destination)

    relaymanager: Any = package.relaymanager
    manager = relaymanager.SmartHostSMTPRelayingManager(insertion.queue)
    manager.fArgs += ("test.identity.hostname",)
    manager.mxcalc = package.relaymanager.MXCalculator(case.resolver)
    manager.PORT = case.destServer.getHost().port
    helper = package.relaymanager.RelayStateHelper(manager, 1)
    helper.startService()

    def inserted(ignored: Any) -> Any:
        delivery = manager.checkState()
        case.assertIsNotNone(delivery, "a message waits, and nothing was started")
        return delivery.addCallback(delivered)

    def delivered(ignored: Any) -> None:
        case.assertEqual(len(domain.messages), 1)
        case.assertTrue(domain.messages[0].eom)
        case.assertIn(_CLIENT_LINES[4], domain.messages[0].lines)
        case.assertEqual(os.listdir("insertionQueue"), [])

    def cleanUp(result: Any) -> Any:
        case.insServer.stopListening()
        case.destServer.stopListening()
        helper.stopService()
        return result

    sent = _send(case.insServer.getHost().port)
    return sent.addCallback(inserted).addBoth(cleanUp)


def _service(case: Any, directory: str) -> Any:
    service = mail.MailService()
    service.smtpPortal.registerChecker(AllowAnonymousAccess())
    service.addDomain(b"unused." + directory.encode(), MemoryDomain())
    os.mkdir(directory)
    service.setQueue(package.relaymanager.Queue(directory))
    return service


def _listen(service: Any) -> Any:
    listenTCP = reactor.listenTCP  # type: ignore[attr-defined]
    return listenTCP(0, service.getSMTPFactory(), interface="127.0.0.1")


def _send(port: int) -> Deferred[None]:
    done: Deferred[None] = Deferred()
    client = LineSendingProtocol(list(_CLIENT_LINES))
    factory = protocol.ClientFactory()
    factory.buildProtocol = lambda addr: client  # type: ignore[method-assign]
    factory.clientConnectionLost = (  # type: ignore[method-assign]
        lambda connector, reason: done.callback(None)
    )
    reactor.connectTCP("127.0.0.1", port, factory)  # type: ignore[attr-defined]
    return done


#: By class and test of L{twisted.mail.test.test_mail}; a second reading of one
#: test has a mark behind its name.
READINGS: dict[tuple[str, str], Reading] = {
    ("MXTests", "testSimpleSuccess"): simpleSuccess,
    ("MXTests", "testSimpleSuccess[bytes]"): simpleSuccessBytes,
    ("MXTests", "testManyRecords"): manyRecords,
    ("RelayerTests", "testMailData"): mailData,
    ("LiveFireExerciseTests", "testRelayDelivery"): relayDelivery,
    ("ServiceDomainTests", "testReceivedHeader"): receivedHeader,
    ("ServiceDomainTests", "testValidateTo"): validateTo,
}
