# -*- test-case-name: relaymail.test.intake.test_segmentation -*-
"""
Tests that it never matters how what a client sends is cut.
"""

from __future__ import annotations

from base64 import b64encode
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Entrance
from relaymail.intake.limits import Limits
from relaymail.intake.networks import parseNetworks
from relaymail.test.intake.harness import CONTENT, LOCAL, STRANGER, Intake
from relaymail.test.intake.test_exchanges import Door

_WORDS = [
    b"EHLO c.example\r\n",
    b"LHLO c.example\r\n",
    b"HELO c\r\n",
    b"MAIL FROM:<a@b.example>\r\n",
    b"MAIL FROM:<a@b.example> SIZE=10 BODY=BINARYMIME RET=FULL\r\n",
    "MAIL FROM:<ü@b.example> SMTPUTF8\r\n".encode(),
    b"RCPT TO:<c@d.example> NOTIFY=SUCCESS,DELAY\r\n",
    b"RCPT TO:<e@f.example>\r\n",
    "RCPT TO:<ü@d.example>\r\n".encode(),
    b"DATA\r\n" + CONTENT + b"..\r\n.x\r\n.\r\n",
    b"DATA\r\n.\r\n",
    b"DATA\r\na\nb\r\n.\n.\r\n.\r\n",
    b"BDAT 8\r\nA: b\r\n\r\n",
    b"BDAT 6\r\nNOOP\r\n",
    b"BDAT 3\r\nx\r\n",
    b"BDAT 1\r\n\r",
    b"BDAT 1 LAST\r\n\n",
    b"BDAT 0 LAST\r\n",
    b"BDAT 0\r\n",
    b"BDAT 700 LAST\r\n" + b"QUIT\r\n" * 116 + b"abcd",
    b"BDAT 9000\r\n" + b"QUIT\r\n" * 1500,
    b"BDAT -1\r\n",
    b"AUTH WORD\r\n" + b64encode(b"sesame") + b"\r\n",
    b"AUTH WORD " + b64encode(b"wrong") + b"\r\n",
    b"AUTH WORD\r\n*\r\n",
    b"AUTH WORD\r\nNOOP\r\n",
    b"XCLIENT ADDR=192.0.2.77 HELO=x.example PROTO=ESMTP\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"VRFY a\r\n",
    b"\xff\x00\r\n",
    b"x" * 3000 + b"\r\n",
    b"QUIT\r\n",
]
#: What takes words to get to a message more often than chance does.
_GROUPS = [_WORDS[3] + _WORDS[6], _WORDS[4] + _WORDS[7], _WORDS[5] + _WORDS[8]]


def session(
    data: list[bytes], entrance: Entrance, stranger: bool, slow: bool
) -> object:
    """
    Say something in pieces.

    @param slow: Whether the queue answers only after each piece.

    @return: All replies, and the envelopes and contents that were queued.
    """
    intake = Intake(
        Limits(messageSize=5000, memory=300, headerBytes=200),
        authentication=Door(),
        allowsClearAuth=True,
        xclientNetworks=parseNetworks("127.0.0.1"),
    )
    intake.factory.token = lambda: "token"  # type: ignore[method-assign]
    intake.queue.slow = slow
    peer = intake.connect(STRANGER if stranger else LOCAL, entrance=entrance)
    said = ""
    for piece in [*data, b""]:
        said += peer.say(piece)
        while intake.queue.waits:
            waits, intake.queue.waits = intake.queue.waits, []
            for wait in waits:
                wait.callback([f"Q{len(intake.queue.added)}"])
            said += peer.heard()
    return said, intake.queue.added, peer.wire.closed


class SegmentationTests(SynchronousTestCase):
    """
    Any split of the same octets gives the same replies and the same mail.
    """

    @settings(deadline=None, max_examples=100)
    @given(
        st.lists(st.sampled_from(_WORDS + _GROUPS * 4), min_size=1, max_size=14),
        st.sampled_from(list(Entrance)),
        st.booleans(),
        st.data(),
    )
    def test_A01_anySplit(
        self,
        words: list[bytes],
        entrance: Entrance,
        stranger: bool,
        data: st.DataObject,
    ) -> None:
        """
        In one piece, in any pieces, and with a queue that is slow.
        """
        hello = _WORDS[1] if entrance is Entrance.LMTP else _WORDS[0]
        whole = hello + b"".join(words)
        cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=12).map(sorted))
        edges = [0, *cuts, len(whole)]
        pieces = [whole[a:b] for a, b in pairwise(edges)]
        once = session([whole], entrance, stranger, slow=False)
        self.assertEqual(session(pieces, entrance, stranger, slow=False), once)
        self.assertEqual(session(pieces, entrance, stranger, slow=True), once)

    def test_A01_octetByOctet(self) -> None:
        """
        A session with everything in it, an octet at a time.
        """
        words = [
            _WORDS[0], _WORDS[22], _WORDS[5], _WORDS[8], _WORDS[9], _WORDS[3],
            _WORDS[6], _WORDS[12], _WORDS[13], _WORDS[15], _WORDS[16], _WORDS[3],
            _WORDS[20], _WORDS[26], _WORDS[3], _WORDS[28], _WORDS[32],
        ]  # fmt: skip
        whole = b"".join(words)
        once = session([whole], Entrance.RELAY, stranger=False, slow=False)
        single = [whole[at : at + 1] for at in range(len(whole))]
        self.assertEqual(
            session(single, Entrance.RELAY, stranger=False, slow=False), once
        )
        assert isinstance(once, tuple)
        self.assertEqual(len(once[1]), 2)
