# -*- test-case-name: relaymail.test.bench.test_source -*-
"""
Tests for L{relaymail.bench.source}; its connections are tested end to end.
"""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from relaymail.bench.mail import Work
from relaymail.bench.source import Orders, rest

TAG = "0123456789abcdef"


class PartsTests(SynchronousTestCase):
    """
    Tests for the smaller parts.
    """

    def test_rest(self) -> None:
        """
        What was not written is left, in order.
        """
        for written in range(8):
            left = rest([b"abc", b"defg"], written)
            self.assertEqual(b"".join(left), b"abcdefg"[written:])

    def test_orders(self) -> None:
        """
        Orders are read as they were written.
        """
        work = Work(size=300, senders=2)
        orders = Orders("127.0.0.1", 25, TAG, "times", 5.0, work)
        told = {
            "host": "127.0.0.1",
            "port": 25,
            "tag": TAG,
            "path": "times",
            "patience": 5.0,
            "work": work.asDict(),
        }
        self.assertEqual(Orders.read(json.dumps(told)), orders)
