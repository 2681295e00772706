# -*- test-case-name: relaymail.test.test_outcomes -*-
"""
What became of one name, that is, of one message for one recipient.

The set is closed: a name is L{Delivered}, it will L{Retry}, it L{Bounce}s, or
somebody L{Removed} it.  An outcome is a plain value: it is what a queue stores,
what a log line says, and what a notice is made of.
"""

from __future__ import annotations

from dataclasses import dataclass

from relaymail.replies import Evidence, Phase, Trouble, TroubleKind


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What all outcomes have in common.

    @ivar status: The enhanced status code (RFC 3463), such as C{"2.0.0"}.
    @ivar phase: Where the attempt stood.
    @ivar evidence: The reply or the trouble that decided, if there was any.
    @ivar host: The name of the mail exchange host, empty where none was
        reached.
    @ivar address: The network address of that host, empty where none was
        reached.
    @ivar tls: The TLS version of the session, empty where it was in clear.
    """

    status: str
    phase: Phase
    evidence: Evidence | None = None
    host: str = ""
    address: str = ""
    tls: str = ""

    @property
    def text(self) -> str:
        """
        The evidence as one printable line, or an empty one.
        """
        return self.evidence.text if self.evidence is not None else ""


@dataclass(frozen=True, slots=True)
class Delivered(Outcome):
    """
    The next host took responsibility: it answered 2yz to the end of I{this}
    message's data.

    @ivar passedOn: Whether the host was given what the sender wants to be told,
        and tells it (RFC 3461 5.2.1): this relay need not.
    """

    passedOn: bool = False


@dataclass(frozen=True, slots=True)
class Retry(Outcome):
    """
    Not now; the same name is tried again later.

    @ivar ambiguous: Whether the remote may have taken the message all the
        same, because its final reply was not seen (RFC 1047).
    """

    ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class Bounce(Outcome):
    """
    Never; the sender is told by a notice.

    @ivar expired: Whether it is only time that ran out, with C{evidence} the
        last that was heard.
    @ivar isReplaced: Whether it is a notice, and another one takes its place
        without which it is not to go (RFC 8689 5).
    """

    expired: bool = False
    isReplaced: bool = False


@dataclass(frozen=True, slots=True)
class Removed(Outcome):
    """
    Taken out of the queue by somebody's wish; the sender is not told.
    """

    @property
    def isDiscarded(self) -> bool:
        """
        Whether it was by a rule, not by somebody who looked at it.
        """
        evidence = self.evidence
        return isinstance(evidence, Trouble) and evidence.kind is TroubleKind.DISCARDED
