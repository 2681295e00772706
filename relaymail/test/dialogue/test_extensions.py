"""
Tests for L{relaymail.dialogue.extensions}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.extensions import NO_EXTENSIONS, Extensions, parseExtensions
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
