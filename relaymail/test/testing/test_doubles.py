# -*- test-case-name: relaymail.test.testing.test_doubles -*-
"""
Tests for L{relaymail.testing.doubles}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.testing.doubles import MailWorld


class MailWorldTests(SynchronousTestCase):
    """
    Tests for L{MailWorld}.
    """

    def test_world(self) -> None:
        """
        The example of the module works.
        """
        world = MailWorld()
        mx = world.host("192.0.2.25", {"RCPT c@example.org": "451 4.7.1 Later"})
        world.zones["example.org"] = {"MX": [(10, "mx.example.org")]}
        world.zones["mx.example.org"] = {"A": ["192.0.2.25"]}
        names = world.send("a@example.com", "b@example.org", "c@example.org")
        world.run()
        self.assertEqual(mx.received[0].recipients, ("b@example.org",))
        self.assertEqual(list(world.queue._entries), names[1:])
