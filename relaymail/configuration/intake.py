# -*- test-case-name: relaymail.test.configuration.test_intake -*-
"""
The options of how mail comes in.
"""

from __future__ import annotations

import attrs

from relaymail.configuration.endpoints import ANY, ownAddresses
from relaymail.configuration.options import option
from relaymail.envelopes import Entrance
from relaymail.errors import ConfigurationError
from relaymail.intake.entrances import Opening
from relaymail.intake.networks import DEFAULT_NETWORKS, Network, parseNetworks

#: Where mail is taken when nothing is said: by this machine's programs, on a
#: port that needs no privilege.
DEFAULT_SMTP = "tcp:2525:interface=127.0.0.1"
#: The port of mail exchange hosts (RFC 5321 4.5.4.2), where LMTP is never spoken
#: (RFC 2033 5).
SMTP_PORT = 25
#: The largest message, in octets: what other relays take by default.
DEFAULT_SIZE = 10_240_000
#: The largest size that can be asked for, in octets.
MAX_SIZE = 2**40

#: What endpoints begin with that bring TLS of their own.
_OWN_TLS = "ssl:"


@attrs.frozen(kw_only=True)
class Intake:
    """
    [intake]: how mail comes in.
    """

    smtp: tuple[str, ...] = option(
        (DEFAULT_SMTP,),
        "endpoints",
        "Where mail is taken by SMTP. The descriptions are those of Twisted's "
        "endpoints; a systemd: endpoint takes the socket from systemd.",
        example='["tcp:25", "tcp:25:interface=\\\\:\\\\:"]',
        isRepeated=True,
    )
    submission: tuple[str, ...] = option(
        (),
        "endpoints",
        "Where people and programs hand in mail, once they have said who they are; "
        "TLS begins with STARTTLS.",
        standard="none",
        example='["tcp:587"]',
        isRepeated=True,
    )
    submissions: tuple[str, ...] = option(
        (),
        "endpoints",
        "The same, with TLS from the first octet on. The relay puts TLS on these, with "
        "tls-key and tls-cert.",
        standard="none",
        example='["tcp:465"]',
        isRepeated=True,
    )
    lmtp: tuple[str, ...] = option(
        (),
        "endpoints",
        "Where mail is taken by LMTP, with a reply for each recipient. Not for the "
        "world: a UNIX socket, or TCP with the interface named.",
        standard="none",
        example='["unix:/run/relaymail/lmtp:mode=660"]',
        isRepeated=True,
    )
    networks: tuple[Network, ...] = option(
        parseNetworks(DEFAULT_NETWORKS),
        "networks",
        "Who may relay: clients that talk from these networks.",
        example='["127.0.0.0/8", "::1", "192.0.2.0/24"]',
    )
    users: str | None = option(
        None,
        "file",
        "The file of those who may relay from anywhere, with what proves who they are. "
        "No password stands there; relaymail auth hash writes its lines.",
        standard="none: nobody can say who they are",
    )
    proxies: tuple[Network, ...] = option(
        (),
        "networks",
        "Proxies, such as HAProxy: each of their connections begins with a PROXY "
        "header, and what it names counts as the client. Others send none.",
        standard="none",
        example='["192.0.2.10"]',
    )
    xclient: tuple[Network, ...] = option(
        (),
        "networks",
        "Who may say with XCLIENT for which client it speaks, such as an nginx or a "
        "Dovecot in front.",
        standard="none: XCLIENT is not offered",
        example='["192.0.2.11"]',
    )
    maxMessageSize: int = option(
        DEFAULT_SIZE,
        "size",
        "The largest message that is taken; 0 is any size.",
        unit="octets",
        example='"50M"',
        least=0,
        most=MAX_SIZE,
    )
    tlsKey: str | None = option(
        None,
        "file",
        "The private key for STARTTLS and for submissions, a PEM file. With it and "
        "tls-cert STARTTLS is offered.",
        standard="none: STARTTLS is not offered",
    )
    tlsCert: str | None = option(
        None,
        "file",
        "The certificate for STARTTLS and for submissions, and its chain, a PEM file.",
        standard="none",
    )

    def __attrs_post_init__(self) -> None:
        """
        Check what belongs together.
        """
        if bool(self.tlsKey) != bool(self.tlsCert):
            raise ConfigurationError(
                "a TLS key and a certificate belong together: name both intake.tls-key "
                "and intake.tls-cert, or neither"
            )
        if self.submissions and not self.tlsKey:
            raise ConfigurationError(
                "intake.submissions speaks TLS from the first octet on: name "
                "intake.tls-key and intake.tls-cert"
            )
        self._checkOnce()
        self._checkTLS()
        for endpoint in self.lmtp:
            _checkLMTP(endpoint)

    @property
    def openings(self) -> tuple[Opening, ...]:
        """
        All that is to be listened on, in the order of the page.
        """
        return (
            *map(Opening, self.smtp),
            *(Opening(each, Entrance.SUBMISSION) for each in self.submission),
            *(Opening(each, Entrance.SUBMISSION, True) for each in self.submissions),
            *(Opening(each, Entrance.LMTP) for each in self.lmtp),
        )

    def _checkOnce(self) -> None:
        kinds: dict[str, str] = {}
        for opening in self.openings:
            kind = kinds.setdefault(opening.endpoint, opening.kind)
            if kind != opening.kind:
                raise ConfigurationError(
                    f"{opening.endpoint!r} stands in intake.{kind} and in "
                    f"intake.{opening.kind}: each endpoint is for one of them"
                )

    def _checkTLS(self) -> None:
        for opening in self.openings:
            if not opening.endpoint.startswith(_OWN_TLS):
                continue
            if opening.isTLS:
                raise ConfigurationError(
                    f"{opening.endpoint!r} in intake.submissions would be TLS within "
                    "TLS: write tcp:, the relay puts TLS on it"
                )
            if self.proxies:
                raise ConfigurationError(
                    f"{opening.endpoint!r} begins with TLS, and a PROXY header comes "
                    "before it: with intake.proxies, use intake.submissions instead"
                )


def _checkLMTP(endpoint: str) -> None:
    """
    Check that LMTP is spoken within a site only (RFC 2033 5).
    """
    hosts, ports = ownAddresses([endpoint])
    if SMTP_PORT in ports:
        raise ConfigurationError(
            f"{endpoint!r} in intake.lmtp is the port of SMTP, where LMTP is never "
            "spoken (RFC 2033): use another one, such as 24"
        )
    if hosts & set(ANY):
        raise ConfigurationError(
            f"{endpoint!r} in intake.lmtp listens to the world, and LMTP is for one "
            "site (RFC 2033): name an interface, as in tcp:24:interface=127.0.0.1, or "
            "a socket, as in unix:/run/relaymail/lmtp:mode=660"
        )
