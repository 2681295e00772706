# -*- test-case-name: relaymail.test.route.test_walk -*-
"""
Tests for L{relaymail.route.walk}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.route.hosts import Credentials, Host, Route, TLSNeed
from relaymail.route.walk import Walk

ONE, TWO = Host("one.example"), Host("two.example", tls=TLSNeed.NEVER)


class WalkTests(SynchronousTestCase):
    """
    Tests for L{Walk}.
    """

    def setUp(self) -> None:
        self.walk = Walk(Route((ONE, TWO)))

    def test_inOrder(self) -> None:
        """
        The hosts come in their order, and then there is none.
        """
        self.assertIsNone(self.walk.host)
        self.assertFalse(self.walk.isLast)
        self.assertEqual(self.walk.goOn(), ONE)
        self.assertFalse(self.walk.isLast)
        self.assertEqual(self.walk.goOn(), TWO)
        self.assertEqual(self.walk.host, TWO)
        self.assertTrue(self.walk.isLast)
        self.assertIsNone(self.walk.goOn())
        self.assertIsNone(self.walk.host)

    def test_again(self) -> None:
        """
        The host that is being tried may come once more, before the next.
        """
        self.walk.goOn()
        self.walk.again()
        self.assertEqual([self.walk.goOn(), self.walk.goOn()], [ONE, TWO])

    def test_againBeforeTheFirst(self) -> None:
        """
        Before the first there is none to come again.
        """
        self.walk.again()
        self.assertFalse(self.walk.againInClear())
        self.assertEqual(self.walk.goOn(), ONE)

    def test_D09_againInClear(self) -> None:
        """
        A host whose TLS was only offered comes again in clear, once.
        """
        self.walk.goOn()
        self.assertTrue(self.walk.againInClear())
        clear = self.walk.goOn()
        assert clear is not None
        self.assertTrue(clear.inClear)
        # It is the same host, for whoever remembers how hosts are.
        self.assertEqual(clear, ONE)
        self.assertFalse(self.walk.againInClear())
        self.assertEqual(self.walk.goOn(), TWO)

    def test_D09_knownToFail(self) -> None:
        """
        A host of which it is known that its TLS fails comes in clear at once, with
        the reason, and not once more.
        """
        walk = Walk(Route((ONE, TWO)), {ONE: "it fails"}.get)  # type: ignore[arg-type]
        clear, other = walk.goOn(), walk.goOn()
        assert clear is not None and other is not None
        self.assertEqual((clear.inClear, clear.why), (True, "it fails"))
        self.assertFalse(other.inClear)
        walk = Walk(Route((ONE,)), lambda host: "it fails")
        walk.goOn()
        self.assertFalse(walk.againInClear())

    def test_A02_neverInClear(self) -> None:
        """
        One that needs TLS, or gets a password, does not.
        """
        for host in (
            Host("x.example", tls=TLSNeed.ENCRYPTED),
            Host("x.example", tls=TLSNeed.VERIFIED),
            Host("x.example", tls=TLSNeed.DANE),
            Host("x.example", implicitTLS=True),
            Host("x.example", credentials=Credentials("u", b"p")),
        ):
            walk = Walk(Route((host,)))
            walk.goOn()
            self.assertFalse(walk.againInClear(), host)
            self.assertIsNone(walk.goOn())
