# -*- test-case-name: relaymail.test.dialogue.test_segments -*-
"""
Tests that it never matters how what is said is cut on its way: what a host says to
the client, and what the client and the server say to each other.  What clients say
to the server is cut in L{relaymail.test.intake.test_segmentation}, and what proxies
say in L{relaymail.test.intake.test_proxied}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.protocol import Factory, Protocol

from relaymail.envelopes import (
    NO_PARAMETERS,
    DeliverBy,
    Entrance,
    Envelope,
    Parameters,
    RecipientParameters,
)
from relaymail.route.hosts import Credentials, Host, TLSNeed
from relaymail.test.dialogue.bothsides import (
    BINARY,
    CONTENT,
    EIGHT_BIT,
    NAME,
    OTHER,
    THIRD,
    TO,
    BothSidesTestCase,
)
from relaymail.test.stories.harness import FIRST
from relaymail.testing.links import Link
from relaymail.testing.machine import EVERY_PORT

#: Short, and still no text.
OCTETS = CONTENT + b"\0\r\n.\r\nQUIT\r\n\r\xff"
NON_ASCII = "käthe@example.org"
_BOTH = (TO, OTHER)
_DSN = (RecipientParameters("SUCCESS"), RecipientParameters("NEVER", "rfc822;x@y"))
#: What mail there is: what was said of it, for whom, and what it is.  It is from
#: nobody, for notices have chance in them.
MAILS: list[tuple[Envelope, bytes]] = [
    (Envelope("", (TO,)), CONTENT),
    (Envelope("", (TO, OTHER, THIRD)), CONTENT),
    (Envelope("", _BOTH, Parameters(ret="HDRS", envid="i d"), _DSN), EIGHT_BIT),
    (Envelope("", (NON_ASCII,), Parameters(utf8=True, priority=3)), CONTENT),
    (Envelope("", _BOTH, Parameters(body="BINARYMIME")), OCTETS),
    (Envelope("", _BOTH, Parameters(deliverBy=DeliverBy(9e9, True))), CONTENT),
]
#: What a host may offer.
OFFERS = [
    "PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING", "BINARYMIME", "SIZE",
    "SIZE 150", "LIMITS RCPTMAX=2", "LIMITS MAILMAX=2", "MT-PRIORITY", "DELIVERBY",
    "AUTH PLAIN LOGIN", "AUTH=LOGIN", "AUTH CRAM-MD5 PLAIN",
]  # fmt: skip
#: What a host may answer to MAIL, RCPT and messages.
CODES = [250, 250, 250, 250, 421, 451, 452, 550, 552, 555]


class Answering(Protocol):
    """
    A host that answers as it is told, each command when it has all of it.
    """

    transport: Any

    def __init__(self, world: Hosting) -> None:
        self._world = world
        self._data = b""
        self._octets = 0
        self._isMessage = False
        self._taken = 0

    def connectionMade(self) -> None:
        """
        Greet.
        """
        self._world.heard.append(b"")
        self._say(220)

    def dataReceived(self, data: bytes) -> None:
        """
        Take what the client says.
        """
        self._world.heard[-1] += data
        self._data += data
        while self._next():
            pass

    def _next(self) -> bool:
        end = b"\r\n.\r\n" if self._isMessage else b"\r\n"
        if self._octets:
            if len(self._data) < self._octets:
                return False
            self._data, self._octets = self._data[self._octets :], 0
            self._final()
            return True
        line, found, rest = self._data.partition(end)
        if not found:
            return False
        self._data = rest
        if self._isMessage:
            self._isMessage = False
            self._final()
        else:
            self._heard(line)
        return True

    def _heard(self, line: bytes) -> None:
        verb, _, rest = line.partition(b" ")
        if verb in (b"EHLO", b"LHLO"):
            self.transport.write(
                b"".join(b"250-%s\r\n" % each.encode() for each in self._world.offers)
                + b"250 HELP\r\n"
            )
        elif verb == b"MAIL":
            self._taken = 0
            self._answer()
        elif verb == b"RCPT":
            self._taken += self._answer()
        elif verb == b"DATA":
            self._isMessage = self._taken > 0
            self._say(354 if self._isMessage else 554)
        elif verb == b"BDAT":
            self._octets = int(rest.split()[0])
        elif verb == b"AUTH":
            isBegun = rest.startswith(b"PLAIN ")
            self._say(235 if isBegun else 334, b"PDEyMzRAeC5leGFtcGxlPg==")
        elif verb == b"QUIT":
            self._say(221)
            self.transport.loseConnection()
        elif verb == b"RSET":
            self._say(250)
        else:
            # Of AUTH.
            self._say(235)

    def _final(self) -> None:
        for _ in range(self._taken if self._world.lmtp else 1):
            self._answer()

    def _answer(self) -> bool:
        code = self._world.codes.pop(0) if self._world.codes else 250
        self._say(code)
        if code == 421:
            self.transport.loseConnection()
        return code < 300

    def _say(self, code: int, text: bytes = b"2.0.0 so") -> None:
        if code not in (334, 354, 220):
            self.transport.write(b"%d-it is\r\n" % code)
        self.transport.write(b"%d %s\r\n" % (code, text))


class Hosting(Factory):
    """
    What all connections to a host share.

    @ivar heard: What was said in each session.
    """

    noisy = False

    def __init__(self, offers: Sequence[str], codes: Sequence[int], lmtp: bool):
        self.offers = tuple(offers)
        self.codes = list(codes)
        self.lmtp = lmtp
        self.heard: list[bytes] = []

    def buildProtocol(self, addr: Any) -> Protocol:
        """
        Make a connection.
        """
        return Answering(self)


class SegmentsTestCase(BothSidesTestCase):
    """
    Plays the same twice, over links that cut and over one that does not.
    """

    def settled(self) -> list[Any]:
        """
        Note what becomes of each name.
        """
        found: list[Any] = []

        def note(name: str, letter: Any, outcome: Any, told: Any) -> None:
            found.append((name, letter.recipient, outcome))

        self.set(onOutcome=note)
        return found

    def cut(self, size: int | None) -> None:
        """
        Cut what is said between the machines.

        @param size: The longest piece; L{None}: not at all.
        """
        self.world.network.setLink(Link(segment=size, ragged=size is not None))

    def giveAll(self, mails: Sequence[tuple[Envelope, bytes]]) -> None:
        """
        Queue mail, and let it be sent.
        """
        for envelope, content in mails:
            self.world.queue.add(envelope, content)
        self.world.run(5)


class ClientTests(SegmentsTestCase):
    """
    A host, and the client.
    """

    def play(
        self,
        size: int | None,
        offers: Sequence[str],
        codes: Sequence[int],
        lmtp: bool,
        mails: Sequence[tuple[Envelope, bytes]],
    ) -> tuple[Any, Any]:
        """
        Send mail.

        @return: What the host heard, and what became of the mail.
        """
        super().setUp()
        self.cut(size)
        hosting = Hosting(offers, codes, lmtp)
        machine = self.world.network.machine(FIRST)
        machine.listenTCP(EVERY_PORT, hosting, interface=FIRST)
        self.world.zones[NAME] = {"A": [FIRST]}
        user = Credentials("me", b"pw") if "AUTH" in " ".join(offers) else None
        host = Host(
            NAME,
            tls=TLSNeed.NEVER,
            named=True,
            credentials=user,
            authInClear=True,
            lmtp=lmtp,
        )
        self.sendTo(host)
        settled = self.settled()
        self.giveAll(mails)
        return hosting.heard, settled

    @settings(deadline=None, max_examples=80)
    @given(
        st.integers(3, 60),
        st.lists(st.sampled_from(OFFERS), max_size=10, unique=True),
        st.lists(st.sampled_from(CODES), max_size=20),
        st.booleans(),
        st.lists(st.sampled_from(MAILS), min_size=1, max_size=3),
    )
    def test_A06_anySplit(
        self,
        size: int,
        offers: list[str],
        codes: list[int],
        lmtp: bool,
        mails: list[tuple[Envelope, bytes]],
    ) -> None:
        """
        Whatever the host offers and answers, by whatever protocol: the same is
        said to it, octet for octet, and the same becomes of each recipient.
        """
        whole = self.play(None, offers, codes, lmtp, mails)
        self.assertEqual(self.play(size, offers, codes, lmtp, mails), whole)

    def test_A06_octetByOctet(self) -> None:
        """
        All mail, to a host that offers all there is, an octet at a time.
        """
        offers = [each for each in OFFERS if "LIMITS" not in each and "50" not in each]
        for lmtp in (False, True):
            heard, settled = self.play(None, offers, [], lmtp, MAILS)
            self.assertEqual(len(settled), 11)
            self.assertEqual(len(heard), 1)
            self.assertIn(b"BDAT ", heard[0])
            self.assertIn(b".\r\nMAIL FROM:", heard[0])
            once = self.play(1, offers, [], lmtp, MAILS)
            self.assertEqual(once, (heard, settled))


class BothTests(SegmentsTestCase):
    """
    The client and the server.
    """

    def play(
        self,
        size: int | None,
        entrance: Entrance,
        mails: Sequence[tuple[Envelope, bytes]],
    ) -> Any:
        """
        Send mail from one to the other.

        @return: What came there, and what became of it here.
        """
        super().setUp()
        self.cut(size)
        host = Host(NAME, tls=TLSNeed.NEVER, named=True, lmtp=entrance is Entrance.LMTP)
        self.serve(entrance, host=host, recipients=2)
        self.intake.token = lambda: "token"
        settled = self.settled()
        self.giveAll(mails)
        return self.there.added, settled

    @settings(deadline=None, max_examples=25)
    @given(
        st.integers(3, 60),
        st.sampled_from([Entrance.RELAY, Entrance.LMTP]),
        st.lists(st.sampled_from(MAILS), min_size=1, max_size=3),
    )
    def test_anySplit(
        self, size: int, entrance: Entrance, mails: list[tuple[Envelope, bytes]]
    ) -> None:
        """
        Where what both say is cut anywhere, the same mail arrives.
        """
        whole = self.play(None, entrance, mails)
        self.assertEqual(self.play(size, entrance, mails), whole)

    def test_large(self) -> None:
        """
        So does a message that does not fit into what is sent at once.
        """
        mails = [
            (Envelope("", (TO,), Parameters(body="BINARYMIME")), BINARY),
            (Envelope("", (TO,), NO_PARAMETERS), CONTENT + b"..\r\n.\r\n" * 20_000),
        ]
        whole = self.play(None, Entrance.RELAY, mails)
        self.assertEqual(len(whole[0]), 2)
        self.assertTrue(self.play(1400, Entrance.RELAY, mails) == whole)
