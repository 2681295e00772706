"""
Tests for L{relaymail.dialogue.extensions}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.extensions import (
    NO_EXTENSIONS,
    NO_LIMITS,
    Extensions,
    Limits,
    parseExtensions,
)
from relaymail.replies import Reply


def parse(*lines: bytes) -> Extensions:
    """
    Parse a reply to EHLO, the greeting's line left out.
    """
    return parseExtensions(Reply(250, (b"mx.example.org", *lines)))


class ExtensionsTests(SynchronousTestCase):
    """
    Tests for L{parseExtensions}.
    """

    def test_anyCase(self) -> None:
        """
        Keywords are known in any case (RFC 5321 2.4).
        """
        found = parse(b"Pipelining", b"8bitmime", b"StartTLS", b"EnhancedStatusCodes")
        for keyword in (
            b"PIPELINING",
            b"8BITMIME",
            b"STARTTLS",
            b"ENHANCEDSTATUSCODES",
        ):
            self.assertIn(keyword, found)

    def test_greetingIsNoKeyword(self) -> None:
        """
        The first line greets, whatever it says.
        """
        found = parseExtensions(Reply(250, (b"PIPELINING", b"SIZE 10")))
        self.assertNotIn(b"PIPELINING", found)

    def test_size(self) -> None:
        """
        The size limit is read, and is 0 where there is none to read.
        """
        self.assertEqual(parse(b"size 1000").sizeLimit, 1000)
        for line in (b"SIZE", b"SIZE x", b"SIZE -1", b"SIZE " + b"9" * 5000):
            self.assertEqual(parse(line).sizeLimit, 0)

    def test_limits(self) -> None:
        """
        Limits are read in any case and order (RFC 9422 4); what is not understood
        of them is passed over.
        """
        found = parse(b"limits RcptMax=20 MAILMAX=5 RCPTDOMAINMAX=1").limits
        self.assertEqual(found, Limits(20, 5, 1))
        found = parse(b"LIMITS NEW=3  OTHER MAILMAX=7").limits
        self.assertEqual(found, Limits(0, 7, 0))
        for text in (b"", b"RCPTMAX", b"RCPTMAX=", b"RCPTMAX=x", b"RCPTMAX=-1",
                     b"RCPTMAX=" + b"9" * 5000, b"= =1"):  # fmt: skip
            self.assertEqual(parse(b"LIMITS " + text).limits, Limits())
        self.assertIs(parse(b"SIZE").limits, NO_LIMITS)

    def test_leastTime(self) -> None:
        """
        The shortest time of DELIVERBY is read, and is 0 where there is none
        (RFC 2852 3).
        """
        self.assertEqual(parse(b"DELIVERBY 240").leastTime, 240)
        for line in (b"DELIVERBY", b"DELIVERBY soon", b"DELIVERBY -2", b"SIZE"):
            self.assertEqual(parse(line).leastTime, 0)

    def test_mechanisms(self) -> None:
        """
        Mechanisms are in upper case and in the server's order.
        """
        self.assertEqual(parse(b"AUTH plain Login").mechanisms, (b"PLAIN", b"LOGIN"))

    def test_oldAuth(self) -> None:
        """
        The old way to write AUTH counts too, and beside the new one.
        """
        self.assertEqual(parse(b"AUTH=LOGIN PLAIN").mechanisms, (b"LOGIN", b"PLAIN"))
        both = parse(b"AUTH CRAM-MD5", b"AUTH=LOGIN").mechanisms
        self.assertEqual(both, (b"CRAM-MD5", b"LOGIN"))

    def test_empty(self) -> None:
        """
        Empty lines are no keywords.
        """
        self.assertEqual(dict(parse(b"", b"  ").keywords), {})

    def test_none(self) -> None:
        """
        A peer that was told HELO can do nothing.
        """
        self.assertNotIn(b"PIPELINING", NO_EXTENSIONS)
        self.assertEqual((NO_EXTENSIONS.mechanisms, NO_EXTENSIONS.sizeLimit), ((), 0))
