# -*- test-case-name: relaymail.test.test_envelopes -*-
"""
Tests for L{relaymail.envelopes}.
"""

from __future__ import annotations

from io import BytesIO
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Client, Envelope, Letter, Parameters
from relaymail.interfaces import IContent


class LetterTests(SynchronousTestCase):
    """
    A letter is the seed's list, and knows where it stands.
    """

    def test_isAList(self) -> None:
        """
        It can be used as C{[sender, recipient, file]}.
        """
        file = BytesIO(b"x")
        letter = Letter(["a@b", "c@d", file], cast(IContent, "content"))
        self.assertEqual(letter, ["a@b", "c@d", file])
        sender, recipient, opened = letter
        self.assertEqual((sender, recipient), (letter.sender, letter.recipient))
        self.assertIs(opened, letter.file)

    def test_whatItKnows(self) -> None:
        """
        Content, parameters, attempts and arrival are attributes.
        """
        content = cast(IContent, object())
        letter = Letter(["", "c@d", None], content, Parameters("8BITMIME"), 3, 7.5)
        self.assertIs(letter.content, content)
        self.assertEqual(
            (letter.sender, letter.parameters.body, letter.attempts, letter.arrived),
            ("", "8BITMIME", 3, 7.5),
        )


class ValueTests(SynchronousTestCase):
    """
    Envelopes and clients are values.
    """

    def test_equalAndHashable(self) -> None:
        """
        Equal ones are one in a set, and none can be changed.
        """
        one, other = Envelope("a@b", ("c@d",)), Envelope("a@b", ("c@d",))
        self.assertEqual(len({one, other}), 1)
        self.assertNotEqual(one, Envelope("a@b", ("c@d",), Parameters("7BIT")))
        self.assertRaises(AttributeError, setattr, one, "sender", "x")
        self.assertEqual(Client("192.0.2.1"), Client("192.0.2.1", 0, "", False, ""))
