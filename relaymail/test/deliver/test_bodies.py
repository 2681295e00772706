"""
Tests for L{relaymail.deliver.bodies}; how messages go out over a session is told
in L{relaymail.test.deliver.test_smtpclient}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.deliver.bodies import ContentChanged, OneChunk, stuffingFor
from relaymail.dialogue.asking import Form
from relaymail.dialogue.stuffing import DotStuffer


class OneChunkTests(SynchronousTestCase):
    """
    Tests for L{OneChunk}.
    """

    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.binary(min_size=1, max_size=20), max_size=5))
    def test_A01_everyByteAsItIs(self, pieces: list[bytes]) -> None:
        """
        The command says how long it is, and what follows are its bytes, whatever
        they are and however they come.
        """
        content = b"".join(pieces)
        chunk = OneChunk(len(content))
        wire = b"".join([chunk.stuff(piece) for piece in pieces]) + chunk.end()
        self.assertEqual(wire, b"BDAT %d LAST\r\n" % len(content) + content)

    def test_A01_neverMoreThanSaid(self) -> None:
        """
        More than was said is not written: it would be read as commands.
        """
        chunk = OneChunk(3)
        chunk.stuff(b"abc")
        self.assertRaises(ContentChanged, chunk.stuff, b"QUIT\r\n")

    def test_A01_neverLessThanSaid(self) -> None:
        """
        Less than was said is no message.
        """
        chunk = OneChunk(3)
        chunk.stuff(b"ab")
        self.assertRaises(ContentChanged, chunk.end)


class FormTests(SynchronousTestCase):
    """
    Tests for L{stuffingFor}.
    """

    def test_forms(self) -> None:
        """
        Each form has its own.
        """
        self.assertIsInstance(stuffingFor(Form.AS_IT_IS, 5), DotStuffer)
        self.assertIsInstance(stuffingFor(Form.CHUNKED, 5), OneChunk)
