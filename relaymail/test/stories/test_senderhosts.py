# -*- test-case-name: relaymail.test.stories.test_senderhosts -*-
"""
Smart hosts of senders, in a relay with a spool: what rests on the disk for hosts that
fail holds nothing back that goes by others.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.deliver.steering import LONGEST_REST
from relaymail.envelopes import Envelope, Parameters
from relaymail.schedule.paces import State
from relaymail.test.stories.harness import SENDER
from relaymail.testing.certificates import selfSigned
from relaymail.testing.doubles import CONTENT
from relaymail.testing.world import World

#: The smart hosts of all, which is down, and of the editor.
USUAL, NEWS = "192.0.2.91", "192.0.2.93"
EDITOR = "editor@news.example"


class RestTests(SynchronousTestCase):
    """
    One destination, of which the mail goes by several hosts.
    """

    def setUp(self) -> None:
        self.world = World(
            smartHosts=[f"smtp://{USUAL}?tls=never"],
            senderHosts={EDITOR: f"smtp://{NEWS}?tls=never"},
            retry="30s,30s,1h",
        )
        self.addCleanup(self.world.stop)

    def test_triedAgainInTime(self) -> None:
        """
        Mail that its host wants later is tried again before long, though mail for
        the same destination rests because other hosts fail.
        """
        later = "451 4.3.0 Later"
        host = self.world.host(NEWS, {"MAIL": [later, later, "250 2.1.0 Ok"]})
        for number in range(20):
            self.world.send(SENDER, f"b{number}@example.org")
        self.world.run(400)
        standing = self.world.relay.manager.standingOf("example.org")
        self.assertIs(standing.state, State.SUSPENDED)
        self.world.send(EDITOR, "c@example.org")
        self.world.run(1)
        self.assertEqual(host.received, [])
        self.world.run(60 + 2 * LONGEST_REST)
        self.assertEqual([m.sender for m in host.received], [EDITOR])

    def test_usualHostsServeAgain(self) -> None:
        """
        When the usual hosts serve again, what rested for them goes on.
        """
        self.world.host(NEWS)
        for number in range(20):
            self.world.send(SENDER, f"b{number}@example.org")
        self.world.run(100)
        host = self.world.host(USUAL)
        self.world.run(1000)
        self.assertEqual(len(host.received), 20)

    def test_overTLSOnly(self) -> None:
        """
        The same holds where mail that may go over TLS only rests, because its host
        shows a certificate of another, beside mail that goes.
        """
        later = "451 4.3.0 Later"
        host = self.world.host(
            USUAL,
            {"MAIL": [later, later, "250 2.1.0 Ok"]},
            contextFactory=selfSigned("other.example").contextFactory,
        )
        queue = self.world.relay.queue
        secure = Parameters(requireTLS=True)
        for number in range(20):
            queue.add(Envelope(SENDER, (f"b{number}@example.org",), secure), CONTENT)
        self.world.run(400)
        self.world.send(SENDER, "c@example.org")
        self.world.run(60 + 2 * LONGEST_REST)
        self.assertEqual([m.recipients for m in host.received], [("c@example.org",)])
