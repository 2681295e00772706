# -*- test-case-name: relaymail.test.deliver.test_trying -*-
"""
An attempt that sends no mail: the hosts of a route in their order, each as far as the
answer to RCPT, and never to DATA.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred

from relaymail.deliver.esmtpclient import ESMTPClient
from relaymail.deliver.explaining import Explained, Question
from relaymail.deliver.inclear import InClearMixin
from relaymail.deliver.rehearsing import Ending, Plan, Rehearsal, Step, play
from relaymail.deliver.smtpclient import SMTPClient
from relaymail.envelopes import Parameters
from relaymail.outcome import verdicts
from relaymail.outcome.verdicts import Fate, Verdict
from relaymail.replies import Phase, Reply, Trouble, printable
from relaymail.route.hosts import Host
from relaymail.route.walk import Walk

#: How long each network address of a host may take to answer, in seconds: somebody
#: waits.
CONNECT_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Mail:
    """
    What hosts are asked to take.

    @ivar sender: The reverse-path.
    @ivar recipient: The forward-path.
    @ivar parameters: What MAIL says beyond the sender.
    @ivar size: How large it is, in octets; L{None}: nothing is said of it.
    """

    sender: str
    recipient: str
    parameters: Parameters = field(default_factory=Parameters)
    size: int | None = None


@dataclass(slots=True)
class Session:
    """
    A session with a host.

    @ivar host: The host.
    @ivar steps: What happened, step by step.
    @ivar isTaken: Whether it would have taken the mail.
    """

    host: Host
    steps: list[Step] = field(default_factory=list)
    isTaken: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """
    What came of an attempt that sent nothing.

    @ivar sessions: The sessions, in their order.
    @ivar verdict: What the mail would have come to; L{None}: a host would have taken
        it.
    @ivar evidence: What that was judged on.
    """

    sessions: tuple[Session, ...]
    verdict: Verdict | None = None
    evidence: Any = None

    @property
    def taker(self) -> Host | None:
        """
        The host that would have taken it, if any.
        """
        return next((each.host for each in self.sessions if each.isTaken), None)


def mailOf(question: Question, size: int = 0) -> Mail:
    """
    Give what hosts are asked of a message.

    @param size: How large it is, in octets; 0: nothing is said of it.
    """
    said = Parameters(requireTLS=question.requireTLS, tlsOptional=question.tlsOptional)
    return Mail(question.sender, question.recipient, said, size or None)


def attempt(
    manager: Any,
    explained: Explained,
    mail: Mail,
    tell: Callable[[Host, Step], object],
    tokenTold: Callable[[Host], str] = lambda host: "had",
) -> Deferred[Trial]:
    """
    Go to the hosts of a route, in their order, and send nothing.

    @param manager: The relaying manager, whose connector and hosts these are.
    @param explained: What it says of the message; it has a route.
    @param tell: Is told each step, with the host.
    @param tokenTold: Says what is known of the token that a host was given.

    @return: Fires with what came of it.
    """
    trying = _Trying(manager, mail, tell, tokenTold)
    return Deferred.fromCoroutine(trying.along(explained))


class _Trying(InClearMixin):
    """
    Goes along a route as an attempt manager does.
    """

    def __init__(self, manager: Any, mail: Mail, tell: Any, tokenTold: Any) -> None:
        self.manager = manager
        self.reactor = manager._theReactor()
        self._mail = mail
        self._tell = tell
        self._tokenTold = tokenTold

    async def along(self, explained: Explained) -> Trial:
        """
        Try host after host.
        """
        assert explained.route is not None
        walk = Walk(explained.route, self._whyInClear)
        sessions: list[Session] = []
        mayRecover, host = explained.route.mayRecover, walk.goOn()
        while host is not None:
            session = Session(host)
            sessions.append(session)
            ending = await self._session(session)
            if ending.isPassed:
                session.isTaken = True
                return Trial(tuple(sessions))
            phase, evidence = ending.phase, ending.evidence
            verdict = verdicts.judge(phase, evidence, lastHost=walk.isLast)
            mayRecover |= verdict.status.startswith("4")
            isClear = phase is Phase.STARTTLS and walk.againInClear()
            if not isClear and verdict.fate is not Fate.NEXT_HOST:
                break
            host = walk.goOn()
        verdict = verdicts.judge(phase, evidence, mayRecover=mayRecover)
        return Trial(tuple(sessions), verdict, evidence)

    def _session(self, session: Session) -> Deferred[Ending]:
        host = session.host

        def tell(step: Step) -> None:
            session.steps.append(step)
            self._tell(host, step)

        def client(plan: Plan, tell: Any, ended: Any) -> MailRehearsal:
            return MailRehearsal(plan, tell, ended, self._mail)

        connector = self.manager._theConnector()
        connector.timeout = min(connector.timeout, CONNECT_PATIENCE)
        identity = self.manager._theHostname()
        plan = Plan(host, self.manager.PORT, identity, lambda: self._tokenTold(host))
        return play(plan, connector, tell, client)


class MailRehearsal(Rehearsal):
    """
    A client that goes away when the server has answered RCPT.
    """

    def __init__(
        self, plan: Plan, tell: Any, ended: Deferred[bool], mail: Mail
    ) -> None:
        """
        @param plan: What it is of.
        @param tell: Is told each step.
        @param ended: Fires, when it is over, with whether the recipient was taken.
        @param mail: What the server is asked to take.
        """
        Rehearsal.__init__(self, plan, tell, ended)
        self._mail = mail
        self._isAsked = False

    def smtpState_from(self, code: int, resp: bytes) -> None:
        """
        Name the sender, and the second time go away.
        """
        SMTPClient.smtpState_from(self, code, resp)

    def smtpState_toOrData(self, code: int, resp: bytes) -> None:
        """
        Name the recipient, and go away when that was answered.
        """
        if self.lastAddress is None:
            SMTPClient.smtpState_toOrData(self, code, resp)
            return
        self._isKnown = code in range(200, 300)
        if not self._isKnown:
            self._keep(Reply(code, (resp,)))
        self._disconnectFromServer()

    def authenticate(self, code: int, resp: bytes, items: Any) -> None:
        """
        Go on as a relayer does; nothing is told where nobody is to be known.
        """
        if self._plan.host.credentials is None:
            ESMTPClient.authenticate(self, code, resp, items)
        else:
            Rehearsal.authenticate(self, code, resp, items)

    def sentMail(self, code: int, resp: Any, *more: Any) -> None:
        """
        Note that MAIL was refused.
        """
        self._keep(Reply(code, (resp or b"",)))

    # What is asked for.

    def getMailFrom(self) -> str | None:
        """
        Give the sender, once.
        """
        if self._isAsked:
            return None
        self._isAsked = True
        return self._mail.sender

    def getMailTo(self) -> list[str]:
        """
        Give the recipient.
        """
        return [self._mail.recipient]

    def getMailSize(self) -> int | None:
        """
        Give the size.
        """
        return self._mail.size

    def getMailParameters(self) -> Parameters:
        """
        Give what is said with MAIL.
        """
        return self._mail.parameters

    def _cannotTake(self, trouble: Trouble) -> None:
        self._took("MAIL", False, trouble.text)
        self._keep(trouble)

    def _keep(self, evidence: Reply | Trouble) -> None:
        self.evidence, self.evidencePhase = evidence, self.phase
        if isinstance(evidence, Trouble):
            self.evidencePhase = evidence.phase


def shownVerdict(trial: Trial) -> str:
    """
    Say what the mail would have come to where no host would have taken it.
    """
    verdict = trial.verdict
    if verdict is None:
        return ""
    words = "it would bounce" if verdict.fate is Fate.BOUNCE else "it would wait"
    return printable(f"{words} ({verdict.status}): {trial.evidence.text}")
