"""
What the tests of the server dialogue share: a client that speaks to it, with no
transport.
"""

from __future__ import annotations

from relaymail.dialogue.actions import (
    Actions,
    Answer,
    AskRecipient,
    AskResponse,
    AskSender,
    Close,
)
from relaymail.dialogue.answers import wire
from relaymail.dialogue.authentication import challengeLine
from relaymail.dialogue.server import Offer, ServerDialogue
from relaymail.dialogue.serving.surroundings import NOTHING_KNOWN, Surroundings
from relaymail.envelopes import Entrance
from relaymail.replies import Reply

OFFER = Offer("relay.example", messageSize=1000, recipients=3, errors=4, tls=True)


class Client:
    """
    Speaks to a dialogue and says yes to everything that is asked, but to
    addresses that hold C{no}.
    """

    def __init__(
        self,
        offer: Offer = OFFER,
        around: Surroundings = NOTHING_KNOWN,
        entrance: Entrance = Entrance.RELAY,
        *,
        tls: bool = False,
    ) -> None:
        self.dialogue = ServerDialogue(offer, tls=tls, around=around, entrance=entrance)
        self.asked: list[object] = []
        self.closed = False

    def say(self, line: bytes, *, behind: bool = False) -> str:
        """
        Say a line and give the replies.
        """
        return self.follow(self.dialogue.heard(line, behind=behind))

    def follow(self, actions: Actions) -> str:
        """
        Do what the dialogue wants, and give the replies.
        """
        said = ""
        for action in actions:
            match action:
                case Answer(reply):
                    said += wire(reply).decode("ascii")
                case AskResponse(challenge):
                    said += challengeLine(challenge).decode("ascii")
                case AskSender() | AskRecipient():
                    self.asked.append(action)
                    said += self.follow(self.judge(action))
                case Close():
                    self.closed = True
                case _:
                    self.asked.append(action)
        return said

    def judge(self, action: AskSender | AskRecipient) -> Actions:
        """
        Say yes or no.
        """
        asked = action.sender if isinstance(action, AskSender) else action.recipient
        if asked.startswith("no"):
            return self.dialogue.refused(Reply(550, (b"No \x1b[31m\r\n250 Yes",)))
        return self.dialogue.accepted()

    def upTo(self, *lines: bytes) -> Client:
        """
        Say lines that are answered with 2yz or 3yz.
        """
        for line in lines:
            said = self.say(line)
            assert said[0] in "23", (line, said)
        return self


class Known(Surroundings):
    """
    What is known of a client.

    @ivar trusted: Whether it is one of our own.
    @ivar local: Whether it came by a UNIX socket.
    @ivar usable: The mechanisms it can use now.
    @ivar proxy: Whether it may say for whom it speaks.
    @ivar later: Those it could use under TLS.
    """

    def __init__(
        self,
        *,
        trusted: bool = False,
        local: bool = False,
        usable: tuple[str, ...] = (),
        later: tuple[str, ...] = (),
        proxy: bool = False,
    ) -> None:
        self.proxy = proxy
        self.usable = usable
        self.later = later
        self.trusted = trusted
        self.local = local
        self.asked = 0

    def isTrusted(self) -> bool:
        """
        Tell it.
        """
        return self.trusted

    def isLocal(self) -> bool:
        """
        Tell it.
        """
        return self.local

    def mechanisms(self) -> tuple[str, ...]:
        """
        Give them.
        """
        return self.usable

    def mechanismsUnderTLS(self) -> tuple[str, ...]:
        """
        Give them.
        """
        return self.later

    def mayActFor(self) -> bool:
        """
        Tell it.
        """
        return self.proxy

    def now(self) -> float:
        """
        Give a time, and count that it was asked.
        """
        self.asked += 1
        return 1_000_000_000.0
