"""
Stories of our own credentials: a smart host does not take them, for days.
"""

from __future__ import annotations

from typing import Any

from relaymail.interfaces import IAttempt
from relaymail.route.hosts import Credentials, Host, TLSNeed
from relaymail.schedule.backoff import DEFAULT_EXPIRY
from relaymail.siren import Siren
from relaymail.test.stories.harness import FIRST, SECOND, Logged, StoryTestCase
from relaymail.testing.servers import SMTPServer

KEY = "auth:relay@smtp.example.org"
DAY = 86400.0


class CredentialsTests(StoryTestCase):
    """
    A smart host that wants a password.
    """

    def setUp(self) -> None:
        """
        Name it, and hear alarms.
        """
        super().setUp()
        self.siren = Siren()
        self.siren.start(self.world.network)
        self.addCleanup(self.siren.stop)
        self.set(onAuthentication=self.siren.authentication)
        self.hosts = [self.smart("smtp.example.org", FIRST)]

    def smart(self, name: str, address: str) -> SMTPServer:
        """
        Name one more smart host.
        """
        self.world.zones[name] = {"A": [address]}
        host = Host(
            name,
            tls=TLSNeed.NEVER,
            named=True,
            authInClear=True,
            credentials=Credentials("relay", b"secret"),
        )
        self.set(smartHosts=(*self.world.manager.smartHosts, host))
        server: SMTPServer = self.world.host(address, users={"relay": "secret"})
        return server

    def criticals(self, logged: Logged) -> list[str]:
        """
        Give the lines about alarms.
        """
        return [line for line in logged.texts if line.startswith("Alarm ")]

    def test_D11_daysOfRefusal(self) -> None:
        """
        The password is refused for days: an alarm sounds at once and by the hour,
        nothing bounces, and when the password is mended all is delivered.
        """
        (host,) = self.hosts
        host.users["relay"] = "another"
        # Notices would go the same way.
        self.set(delayNotice=DEFAULT_EXPIRY)
        with Logged() as logged:
            names = self.relayed("b@example.org", "c@elsewhere.example")
        (first,) = self.criticals(logged)
        self.assertTrue(first.startswith(f"Alarm {KEY}: smtp.example.org does not"))
        self.assertIn("535 5.7.8", first)
        with Logged() as logged:
            self.world.run(min(4 * DAY, DEFAULT_EXPIRY - DAY))
        lines = self.criticals(logged)
        self.assertTrue(90 <= len(lines) <= 96, len(lines))
        self.assertIn("for 96 h now", lines[-1])
        self.assertRetried(*names)
        host.users["relay"] = "secret"
        with Logged() as logged:
            self.world.run(0.5 * DAY)
        self.assertEqual(self.criticals(logged), [f"Alarm {KEY} is over"])
        self.assertEmpty()
        self.assertEqual(self.home.received, [])
        arrived = [to for message in host.received for to in message.recipients]
        self.assertEqual(sorted(arrived), ["b@example.org", "c@elsewhere.example"])

    def test_D11_anotherHostTakesIt(self) -> None:
        """
        The alarm sounds also where another host takes the mail, for it is the
        only one left.
        """
        (host,) = self.hosts
        host.users["relay"] = "another"
        spare = self.smart("spare.example.org", SECOND)
        self.relayed()
        self.assertEqual(len(spare.received), 1)
        self.assertEqual([alarm.key for alarm in self.siren.alarms], [KEY])

    def test_D11_temporary(self) -> None:
        """
        A host that cannot say now who we are is told of, too.
        """
        (host,) = self.hosts
        host.answers["AUTH"] = "454 4.7.0 Later"
        self.assertRetried(*self.relayed())
        self.assertEqual([alarm.key for alarm in self.siren.alarms], [KEY])

    def test_otherTroubles(self) -> None:
        """
        What goes wrong before or after it is no alarm.
        """
        (host,) = self.hosts
        host.answers["RCPT"] = "550 5.1.1 Nobody"
        self.relayed()
        host.answers["CONNECT"] = "421 4.3.2 Down"
        self.relayed()
        self.assertEqual(len(self.siren.alarms), 0)

    def test_nobodyHears(self) -> None:
        """
        A relaying manager that nobody listens to, and one that knows nothing of it,
        relay.
        """
        (host,) = self.hosts
        self.set(onAuthentication=None)
        self.relayed()
        self.set(noteAuthentication=None)
        self.relayed()
        self.assertEqual(len(host.received), 2)

    def test_told(self) -> None:
        """
        An attempt manager is told once a session.
        """
        told: list[Any] = []
        self.set(onAuthentication=lambda host, evidence: told.append(evidence))
        self.set(maxConnections=1, idleTimeout=5)
        for _ in range(3):
            self.relayed(seconds=1)
        (host,) = self.hosts
        self.assertEqual((len(host.received), len(host.sessions)), (3, 1))
        self.assertEqual(told, [None])
        self.assertIn("noteAuthenticated", IAttempt)
