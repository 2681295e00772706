# -*- test-case-name: relaymail.test.test_siren -*-
"""
What makes alarms heard: in the log at once, and every hour for as long as they last.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.logger import Logger

from relaymail.alarms import Alarm, Alarms
from relaymail.replies import Evidence, Reply, TroubleKind, printable
from relaymail.route.hosts import Bearer, Host

#: How often an alarm that lasts is logged again, in seconds.
REPEAT = 3600.0


class Siren:
    """
    Sounds the alarms of a relay.

    @ivar alarms: Those that sound.
    """

    log = Logger()

    def __init__(self) -> None:
        self.alarms = Alarms()
        self._reactor: Any = None
        self._again: Any = None
        self._isStopped = False

    def start(self, reactor: Any) -> None:
        """
        Begin to tell what lasts again and again.

        @param reactor: Tells the time.
        """
        self._reactor, self._isStopped = reactor, False
        self._repeatLater()

    def stop(self) -> None:
        """
        Tell nothing more, and hear nothing: that a relay that stops has no tokens is
        no news.
        """
        self._isStopped = True
        if self._again is not None:
            self._again.cancel()
            self._again = None

    def tell(self, key: str, text: str | None, sign: str | None = None) -> None:
        """
        Sound an alarm, or let it be over.

        @param key: What it is known by.
        @param text: What is the matter, L{None} where nothing is any more.
        @param sign: See L{Alarms.sound}.
        """
        if self._isStopped:
            return
        if text is None:
            if len(self.alarms) and self.alarms.calm(key):
                self.log.info("Alarm {key} is over", key=key)
            return
        now = 0.0 if self._reactor is None else self._reactor.seconds()
        if self.alarms.sound(key, text, now, sign):
            self._say(key, text)
            self._repeatLater()

    def authentication(self, host: Host, evidence: Evidence | None) -> None:
        """
        Hear how it went to authenticate at a host.

        @param host: The host, which has credentials.
        @param evidence: What came back instead of a yes, or L{None} for that.
        """
        if host.credentials is None:
            return
        key = keyOf(host)
        if evidence is None:
            return self.tell(key, None)
        if isinstance(evidence, Reply):
            sign = f"{evidence.code} {evidence.status}"
        elif evidence.kind is TroubleKind.AUTH:
            sign = evidence.kind.value
        else:
            # The connection broke, which says nothing of the credentials.
            return
        if not isinstance(evidence, Reply) and self._hasNoToken(host):
            # That is told already, by whoever asked for it.
            return
        self.tell(key, _refusedText(host, evidence), sign)

    def _hasNoToken(self, host: Host) -> bool:
        who = host.credentials
        return isinstance(who, Bearer) and self.alarms.sounds(tokenKeyOf(who.user))

    def retain(self, hosts: Iterable[Host]) -> None:
        """
        Let alarms of hosts be over that there are no more.

        @param hosts: Those there are.
        """
        keys = {keyOf(host) for host in hosts if host.credentials is not None}
        for alarm in self.alarms:
            if alarm.key.startswith("auth:") and alarm.key not in keys:
                self.tell(alarm.key, None)

    def _repeatLater(self) -> None:
        if self._again is None and self._reactor is not None and len(self.alarms):
            self._again = self._reactor.callLater(REPEAT, self._repeat)

    def _repeat(self) -> None:
        self._again = None
        for alarm in self.alarms:
            self._say(alarm.key, alarm.text, alarm)
        self._repeatLater()

    def _say(self, key: str, text: str, alarm: Alarm | None = None) -> None:
        if alarm is None:
            self.log.critical("Alarm {key}: {text}", key=key, text=text)
        else:
            hours = (self._reactor.seconds() - alarm.since) / 3600
            self.log.critical(
                "Alarm {key}, for {hours:.0f} h now: {text}",
                key=key,
                text=text,
                hours=max(hours, 0.0),
            )


def keyOf(host: Host) -> str:
    """
    Give what an alarm of the credentials at a host is known by.
    """
    user = host.credentials.user if host.credentials is not None else ""
    return f"auth:{printable(user, 100)}@{printable(host.name, 253)}"


def tokenKeyOf(user: str) -> str:
    """
    Give what an alarm of the tokens of a user is known by.
    """
    return f"token:{printable(user, 100)}"


def _refusedText(host: Host, evidence: Evidence) -> str:
    user = printable(host.credentials.user if host.credentials is not None else "", 100)
    what = "the token" if isinstance(host.credentials, Bearer) else "the password"
    return (
        f"{printable(host.name, 253)} does not let {user} in: {evidence.text}; mail "
        f"waits and does not bounce before it expires: see that {what} is right, and "
        "`relaymail auth test` for each step; then `relaymail reload`"
    )
