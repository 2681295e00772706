# -*- test-case-name: relaymail.test.configuration.test_comparing -*-
"""
Tests for L{relaymail.configuration.comparing}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.configuration import changes, configure, needRestart


class ChangesTests(SynchronousTestCase):
    """
    Tests for L{changes} and L{needRestart}.
    """

    def test_changes(self) -> None:
        """
        What differs is told by its path, and which of it needs a new start.
        """
        old = configure(queue="a", hostname="a.example", mxPort=25)
        new = configure(queue="b", hostname="a.example", mxPort=26, origin="b.example")
        paths = changes(old, new)
        self.assertEqual(paths, ["queue", "delivery.mx-port", "machines.origin"])
        self.assertEqual(needRestart(paths), ["queue"])

    def test_same(self) -> None:
        """
        Words that mean the same are no change.
        """
        old = configure(queue="a", hostname="a.example", retry="60s", networks="::1")
        new = configure(queue="./a", hostname="a.example", retry=[60], networks=["::1"])
        self.assertEqual(changes(old, new), [])
