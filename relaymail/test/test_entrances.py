# -*- test-case-name: relaymail.test.test_entrances -*-
"""
Tests for the kinds of ports of a L{relay<relaymail.service.Relay>}: when it starts,
and when it is told something else.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import Portal
from twisted.internet.address import IPv4Address
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure

from relaymail.errors import ConfigurationError
from relaymail.intake.checkers import UserRealm
from relaymail.intake.proxied import Announced
from relaymail.test.certificates import writeCertificate
from relaymail.test.test_reload import OTHER, PORT, ReloadTestCase
from relaymail.test.test_service import CLIENT, TestRelay

PROXY = IPv4Address("TCP", "192.0.2.10", 50000)
THIRD = "tcp:2527:interface=127.0.0.1"


class EntrancesTestCase(ReloadTestCase):
    """
    Relays with a certificate and a file of users.
    """

    def setUp(self) -> None:
        super().setUp()
        directory = Path(os.path.abspath(self.mktemp()))
        directory.mkdir()
        key, cert = writeCertificate(directory)
        users = directory / "users"
        users.touch(0o600)
        self.tls = {"tlsKey": key, "tlsCert": cert}
        self.users = {**self.tls, "users": str(users)}

    def kinds(self, relay: TestRelay) -> list[tuple[Any, str]]:
        """
        Give the addresses a relay listens on, with their kinds.
        """
        return [
            (getattr(address, "port", address), opening.kind)
            for address, opening in zip(relay.addresses, relay.openings, strict=True)
        ]


class StartTests(EntrancesTestCase):
    """
    How a relay starts.
    """

    def test_all(self) -> None:
        """
        It listens on ports of all kinds, and says so in its log.
        """
        events: list[LogEvent] = []
        observer: Any = events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        relay = self.running(
            submission=OTHER, submissions=THIRD, lmtp="unix:/run/lmtp", **self.users
        )
        ports = self.kinds(relay)
        self.assertEqual(
            ports[:3], [(2525, "smtp"), (2526, "submission"), (2527, "submissions")]
        )
        self.assertEqual(ports[3][1], "lmtp")
        (told,) = [str(e["ports"]) for e in events if "ports" in e]
        self.assertEqual(
            told,
            "0.0.0.0:2525, 0.0.0.0:2526 (submission), 0.0.0.0:2527 (submissions), "
            "/run/lmtp (lmtp)",
        )

    def test_nobodyCanSayWhoTheyAre(self) -> None:
        """
        A relay that asks people who they are, and does not know anybody, is not
        made; a program may know them.
        """
        settings = {"submission": OTHER, **self.tls}
        error = self.assertRaises(ConfigurationError, self.make, **settings)
        self.assertIn("name the file of users", str(error))
        portal = object()
        self.assertIs(self.make(portal=portal, **settings).portal, portal)

    def test_xclient(self) -> None:
        """
        Those that may say by XCLIENT for whom they speak are offered it, and a
        reload changes who that is.
        """
        relay = self.running(xclient="127.0.0.1")
        self.assertIn("XCLIENT", self.offered())
        self.reload(relay, self.told(xclient="192.0.2.10"))
        self.assertNotIn("XCLIENT", self.offered())

    def offered(self) -> str:
        """
        Say EHLO.
        """
        protocol: Any = self.reactor.tcpServers[-1][1].buildProtocol(CLIENT)
        wire = StringTransport(peerAddress=CLIENT)
        protocol.makeConnection(wire)
        protocol.dataReceived(b"EHLO client.example\r\n")
        protocol.connectionLost(Failure(ConnectionDone()))
        return str(wire.value())

    def test_proxies(self) -> None:
        """
        Those that are named as proxies are waited for.
        """
        self.running(proxies="192.0.2.10")
        door = self.reactor.tcpServers[-1][1]
        self.assertIsInstance(door.buildProtocol(PROXY), Announced)
        self.assertNotIsInstance(door.buildProtocol(CLIENT), Announced)


class ReloadTests(EntrancesTestCase):
    """
    How it is told something else.
    """

    def test_addedAndRemoved(self) -> None:
        """
        Ports of every kind are opened and closed, in the order of the page.
        """
        relay = self.running()
        (old,) = relay.ports
        told = self.told(submissions=OTHER, lmtp=THIRD, **self.users)
        changed = self.reload(relay, told)
        self.assertIn("intake.submissions", changed)
        self.assertEqual(
            self.kinds(relay), [(2525, "smtp"), (2526, "submissions"), (2527, "lmtp")]
        )
        self.assertIs(relay.ports[0], old)
        self.reload(relay, self.told(smtp=(), lmtp=THIRD, **self.users))
        self.assertEqual(self.kinds(relay), [(2527, "lmtp")])

    def test_moved(self) -> None:
        """
        A port becomes one of another kind, and is not closed for it.
        """
        relay = self.running(submission=OTHER, **self.users)
        before = relay.ports
        told = self.told(smtp=OTHER, submission=PORT, **self.users)
        self.reload(relay, told)
        self.assertEqual(self.kinds(relay), [(2526, "smtp"), (2525, "submission")])
        self.assertEqual(relay.ports, before[::-1])

    def test_allOrNothing(self) -> None:
        """
        Where one of them cannot be had all is as it was, of whatever kind.
        """
        relay = self.running(submission=OTHER, **self.users)

        def listenTCP(*arguments: Any, **keywords: Any) -> Any:
            raise CannotListenError("", 2527, OSError(98, "Address already in use"))

        self.patch(self.reactor, "listenTCP", listenTCP)
        self.refused(relay, smtp=OTHER, submission=PORT, lmtp=THIRD, **self.users)
        self.assertEqual(self.kinds(relay), [(2525, "smtp"), (2526, "submission")])

    def test_nobodyCanSayWhoTheyAre(self) -> None:
        """
        Users cannot be taken away from where they are asked for.
        """
        relay = self.running(submission=OTHER, **self.users)
        why = self.refused(relay, submission=OTHER, **self.tls)
        self.assertIn("name the file of users", why)

    def test_proxies(self) -> None:
        """
        Who is a proxy holds for the next connection, also on ports that were there.
        """
        relay = self.running()
        door = self.reactor.tcpServers[-1][1]
        self.reload(relay, self.told(proxies="192.0.2.10"))
        self.assertIsInstance(door.buildProtocol(PROXY), Announced)
        self.reload(relay, self.told())
        self.assertNotIsInstance(door.buildProtocol(PROXY), Announced)

    def test_systemdSocket(self) -> None:
        """
        What systemd hands over is not looked for later, of whatever kind.
        """
        told = {"lmtp": "systemd:domain=UNIX:name=lmtp"}
        self.assertIn("restart", self.refused(self.running(), **told))

    def test_stop(self) -> None:
        """
        Proxies that have not said whom they speak for are waited for no longer.
        """
        relay = self.running(proxies="192.0.2.10")
        door = self.reactor.tcpServers[-1][1]
        wire = StringTransport(peerAddress=PROXY)
        protocol: Any = door.buildProtocol(PROXY)
        protocol.makeConnection(wire)
        self.stop(relay)
        self.assertTrue(wire.disconnected)


class UsersTests(EntrancesTestCase):
    """
    Who can say who they are.
    """

    def users_(self, text: str) -> dict[str, Any]:
        """
        Write another file of users.
        """
        Path(self.users["users"]).write_text(text)
        return self.users

    def test_nobody(self) -> None:
        """
        Where there are no users nobody can.
        """
        self.assertIsNone(self.running().intake.authentication)

    def test_file(self) -> None:
        """
        Those of a file can; it is the same over a reload, so that who guesses is
        still known.
        """
        relay = self.running(**self.users)
        found: Any = relay.intake.authentication
        self.assertIn("PLAIN", found.mechanisms(True, {}))
        self.reload(relay, self.told(retry="7s", **self.users))
        self.assertIs(relay.intake.authentication, found)
        self.reload(relay, self.told(hostname="new.example.com", **self.users))
        self.assertIsNot(relay.intake.authentication, found)
        self.reload(relay, self.told())
        self.assertIsNone(relay.intake.authentication)

    def test_notUsable(self) -> None:
        """
        A relay does not start with a file that cannot be used, and takes over
        nothing with it.
        """
        relay = self.running(**self.users)
        broken = self.users_("me without a colon\n")
        self.assertIn("line 1", self.refused(relay, retry="7s", **broken))
        self.stop(relay)
        other = self.make(smtp=PORT, **broken)
        error = self.assertRaises(ConfigurationError, other.startService)
        self.assertIn("users file", str(error))

    def test_portal(self) -> None:
        """
        A program's portal is asked in the place of a file, over reloads too.
        """
        portal = Portal(UserRealm(), [InMemoryUsernamePasswordDatabaseDontUse()])
        relay = self.running(portal=portal)
        found: Any = relay.intake.authentication
        self.assertIs(found.portal, portal)
        self.reload(relay, self.told(retry="7s"))
        self.assertIs(relay.intake.authentication, found)
        self.assertIn("not both", self.refused(relay, **self.users))
