"""
Tests for L{relaymail.route.edns}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.route.edns import MAX_SERVERS, PLAIN_FOR, Manners


class MannersTests(SynchronousTestCase):
    """
    L{Manners} remembers who likes EDNS.
    """

    def setUp(self) -> None:
        self.manners = Manners()

    def takes(self, now: float = 0, hasBeenSilent: bool = False) -> bool:
        """
        Ask of one server.
        """
        return self.manners.takesEDNS("s", now, hasBeenSilent)

    def test_unknown(self) -> None:
        """
        Who is not known is asked with it, and without where that was not answered.
        """
        self.assertTrue(self.takes())
        self.assertFalse(self.takes(hasBeenSilent=True))

    def test_liked(self) -> None:
        """
        Who answered with it is asked with it, also where an answer was lost; until it
        says nothing at all.
        """
        self.manners.liked("s")
        self.assertTrue(self.takes(hasBeenSilent=True))
        self.assertFalse(self.manners.takesEDNS("other", 0, True))
        self.manners.silent("s")
        self.assertTrue(self.takes())
        self.assertFalse(self.takes(hasBeenSilent=True))

    def test_plain(self) -> None:
        """
        Who does not like it is asked without, for a time.
        """
        self.manners.liked("s")
        self.manners.prefersPlain("s", 100)
        self.assertFalse(self.takes(100))
        self.assertFalse(self.takes(99 + PLAIN_FOR))
        self.assertTrue(self.takes(100 + PLAIN_FOR))
        self.assertFalse(self.takes(100 + PLAIN_FOR, hasBeenSilent=True))
        self.manners.liked("s")
        self.assertTrue(self.takes(101))

    def test_A07_bounded(self) -> None:
        """
        Only so many servers are remembered.
        """
        for number in range(MAX_SERVERS * 3):
            self.manners.liked(number)
            self.manners.prefersPlain(-number, 0)
        self.assertLessEqual(len(self.manners._fine), MAX_SERVERS)
        self.assertEqual(len(self.manners._plainUntil), MAX_SERVERS)
        self.assertFalse(self.manners.takesEDNS(-MAX_SERVERS * 3 + 1, 0, False))
        self.assertTrue(self.manners.takesEDNS(-1, 0, False))
