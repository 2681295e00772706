# -*- test-case-name: relaymail.test.stories.test_sources -*-
"""
Hosts that see this relay come from an address, and under a name, of the operator's
choice.
"""

from __future__ import annotations

from email import message_from_bytes

from relaymail.route.hosts import Host, TLSNeed
from relaymail.test.stories.harness import (
    FIRST,
    SECOND,
    Logged,
    StoryTestCase,
    statusOf,
)
from relaymail.testing.doubles import ADDRESS

#: An address that the relay has not.
FOREIGN = "203.0.113.9"


def named(address: str, *source: str, helo: str = "") -> Host:
    """
    Give a smart host that is connected to from an address.
    """
    return Host(address, tls=TLSNeed.NEVER, named=True, source=source, helo=helo)


class SourceTests(StoryTestCase):
    """
    Tests with smart hosts that say where mail for them comes from.
    """

    def test_source(self) -> None:
        """
        The connection comes from there.
        """
        self.set(smartHosts=(named(FIRST, ADDRESS),))
        host = self.world.host(FIRST)
        self.relayed()
        (session,) = host.sessions
        self.assertEqual(session.transport.getPeer().host, ADDRESS)
        self.assertEqual(len(host.received), 1)

    def test_D02_foreignSource(self) -> None:
        """
        From an address that is not this machine's nothing goes: the mail waits, the
        reason says which address it is, and the host is none the worse.
        """
        self.set(smartHosts=(named(FIRST, FOREIGN), named(SECOND, FOREIGN)))
        self.world.host(FIRST)
        with Logged() as logged:
            self.assertRetried(*self.relayed(seconds=1))
        (line,) = logged.outcomes
        self.assertIn(f"are to come from {FOREIGN}, which is no address of", line)
        self.assertEqual(self.world.network.tried, [])
        self.assertEqual(self.world.manager._named._badUntil, {})

    def test_D02_otherFamilyOnly(self) -> None:
        """
        Where a host has no address of the family the next one is tried, and the
        first is none the worse.
        """
        self.set(smartHosts=(named("2001:db8::9", ADDRESS), named(SECOND, ADDRESS)))
        second = self.world.host(SECOND)
        self.relayed()
        self.assertEqual(len(second.received), 1)
        self.assertEqual(self.world.network.tried, [(SECOND, 25)])
        self.assertEqual(self.world.manager._named._badUntil, {})

    def test_helo(self) -> None:
        """
        Each host is told the name that this relay has there; notices are from the
        relay itself.
        """
        self.set(smartHosts=(named(FIRST, helo="out.example"), named(SECOND)))
        first = self.world.host(FIRST, {"MAIL": "451 4.3.0 Later"})
        second = self.world.host(SECOND, {"RCPT b@example.org": "550 5.1.1 Nobody"})
        self.relayed()
        self.assertIn("EHLO out.example", first.sessions[0].commands)
        self.assertIn("EHLO relay.example.com", second.sessions[0].commands)
        notice = message_from_bytes(second.received[0].content)
        self.assertIn("Reporting-MTA: dns; relay.example.com", statusOf(notice))
