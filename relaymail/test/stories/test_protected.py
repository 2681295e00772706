# -*- test-case-name: relaymail.test.stories.test_protected -*-
"""
Hosts that are to be known before anything is said to them: what goes over the wire,
and what does not, when they are not.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.protocols import tls

from relaymail.deliver.esmtpclient import ESMTPClient
from relaymail.deliver.session import Session as LineSession
from relaymail.protections import TLSResult
from relaymail.replies import Phase, Trouble, TroubleKind
from relaymail.route.hosts import Credentials, Host, TLSNeed
from relaymail.test.stories.harness import FIRST, SECOND, Logged, StoryTestCase
from relaymail.testing.certificates import Throwaway, ThrowawayCA
from relaymail.testing.servers import (
    BROKEN_TLS,
    KEYWORDS,
    Act,
    Session,
    SMTPServer,
)

NAME, OTHER = "mx.example.org", "mx2.example.org"
OFFERING = (*KEYWORDS, "STARTTLS", "AUTH PLAIN LOGIN")
#: What may be said to a host before it is known.
HARMLESS = ("EHLO", "STARTTLS", "QUIT")
#: Long enough for a host that says nothing to be given up.
PATIENCE = 3600.0


#: The old TLS and the new.
VERSIONS = (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION)


def upTo(newest: int, options: Any) -> Any:
    """
    Let a server know no newer TLS.
    """
    options.getContext().set_max_proto_version(newest)
    return options


class ProtectedCase(StoryTestCase):
    """
    Hosts with certificates of an authority.

    @ivar said: What was said by relayers, in all sessions.
    """

    def setUp(self) -> None:
        super().setUp()
        # TLS that begins with the connection takes the clock of the machine.
        self.patch(tls, "_get_default_clock", lambda: self.world.network)
        self.authority = ThrowawayCA()
        self.caFile = self.authority.write(self.mktemp())
        self.certificate = self.authority.issue(NAME)
        self.said: list[bytes] = []
        self.evidence: list[Any] = []
        send, note = LineSession.sendLine, ESMTPClient._note

        def sendLine(client: Any, line: bytes) -> None:
            self.said.append(line)
            send(client, line)

        def _note(client: Any, evidence: Any) -> None:
            note(client, evidence)
            if client.evidence not in self.evidence:
                self.evidence.append(client.evidence)

        self.patch(LineSession, "sendLine", sendLine)
        self.patch(ESMTPClient, "_note", _note)

    def anew(self) -> None:
        """
        Begin in a new world, where nothing was said yet.
        """
        self.said.clear()
        self.evidence.clear()
        self.enter(type(self.world)())

    def host(self, need: TLSNeed, name: str = NAME, **more: Any) -> Host:
        """
        Give a host that is to be known in one way.
        """
        settings: dict[str, Any] = {"tls": need, "named": True, **more}
        if need is TLSNeed.DANE:
            settings.setdefault("tlsa", (self.certificate.tlsa(3, 1, 1),))
        if need is TLSNeed.VERIFIED:
            settings.setdefault("caFile", self.caFile)
        return Host(name, **settings)

    def smartHosts(self, *hosts: Host) -> None:
        """
        Send all mail to these.
        """
        self.set(smartHosts=hosts)
        addresses = (FIRST, SECOND)
        for host, address in zip(hosts, addresses, strict=False):
            self.world.zones[host.name] = {"A": [address]}

    def serve(
        self, certificate: Throwaway, at: str = FIRST, **options: Any
    ) -> SMTPServer:
        """
        Put a host there that has TLS.
        """
        options.setdefault("contextFactory", certificate.contextFactory)
        return self.world.host(at, options.pop("answers", None), **options)

    def assertUntold(self, *servers: SMTPServer) -> None:
        """
        Nothing of a message, nor a secret, was said to anybody, and none was heard.
        """
        for line in self.said:
            self.assertTrue(line.decode().startswith(HARMLESS), line)
        for server in servers:
            self.assertEqual(server.received, [])
            heard = [c for session in server.sessions for c in session.commands]
            for command in heard:
                self.assertTrue(command.startswith(HARMLESS), command)

    def trouble(self) -> Trouble:
        """
        Give what the one session ended with.
        """
        (evidence,) = self.evidence
        assert isinstance(evidence, Trouble), evidence
        return evidence


class NoTLSTests(ProtectedCase):
    """
    Hosts whose TLS does not come about.
    """

    #: What the host does, by what it is called.
    FAULTS: tuple[tuple[str, Any, TLSResult | None], ...] = (
        ("missing", None, TLSResult.NO_STARTTLS),
        ("454", {"STARTTLS": "454 4.7.0 Not now"}, TLSResult.NO_STARTTLS),
        ("502", {"STARTTLS": "502 5.5.1 What?"}, TLSResult.NO_STARTTLS),
        ("250", {"STARTTLS": "250 Fine"}, TLSResult.NO_STARTTLS),
        ("no reply", {"STARTTLS": "what?"}, TLSResult.FAILED),
        ("noise", {"STARTTLS": BROKEN_TLS}, TLSResult.FAILED),
        (
            "replies in clear",
            {"STARTTLS": "220 Go\n250-mx\n250-AUTH PLAIN\n250 PIPELINING"},
            TLSResult.FAILED,
        ),
        ("hangs up", {"STARTTLS": Act.CLOSE}, TLSResult.FAILED),
        ("silence", {"STARTTLS": Act.SILENCE}, TLSResult.FAILED),
        ("no ESMTP", {"EHLO": "502 5.5.1 What?"}, None),
    )

    def test_D09_A02_nothingIsSaid(self) -> None:
        """
        Whatever keeps TLS away where it is needed, the mail waits, no command of a
        transaction and no secret leaves, and the host is not tried in clear; where
        the trouble is one of TLS it has its name for reports.
        """
        for need in (TLSNeed.ENCRYPTED, TLSNeed.VERIFIED, TLSNeed.DANE):
            for why, answers, result in self.FAULTS:
                for known in (None, Credentials("u", b"secret")):
                    self.anew()
                    self.smartHosts(self.host(need, credentials=known))
                    keywords = KEYWORDS if answers is None else OFFERING
                    mx = self.world.host(FIRST, answers, keywords=keywords)
                    told = f"{need.name}, {why}"
                    names = self.world.send("a@example.com", "b@example.org")
                    self.world.run(30)
                    if answers != {"STARTTLS": Act.SILENCE}:
                        self.assertRetried(*names)
                    self.world.run(PATIENCE)
                    self.assertUntold(mx)
                    found = {getattr(each, "result", None) for each in self.evidence}
                    self.assertEqual(found, {result}, told)

    def test_D10_A02_keywordsOfTheClear(self) -> None:
        """
        What was offered in clear is not used under TLS, and the password only under
        TLS, for who is known.
        """

        def ehlo(session: Session, argument: str) -> str:
            if session.isTLS:
                return "250 mx.example.org"
            return "250-mx.example.org\n250-STARTTLS\n250-AUTH PLAIN\n250 SIZE 1000"

        for need in (TLSNeed.VERIFIED, TLSNeed.DANE):
            self.anew()
            self.smartHosts(self.host(need, credentials=Credentials("u", b"secret")))
            mx = self.serve(self.certificate, answers={"EHLO": ehlo})
            self.assertRetried(*self.relayed())
            self.assertUntold(mx)
            self.assertEqual(self.said.count(b"EHLO relay.example.com"), 2)


class DANETests(ProtectedCase):
    """
    Hosts whose TLSA records say what they are to show.
    """

    def test_known(self) -> None:
        """
        One that shows what its records name gets its mail, and the password, by the
        old TLS and the new; whether the authority is trusted makes no difference.
        """
        known = Credentials("u", b"secret")
        for newest in VERSIONS:
            for port, implicit in ((587, False), (465, True)):
                self.anew()
                host = self.host(
                    TLSNeed.DANE, credentials=known, port=port, implicitTLS=implicit
                )
                self.smartHosts(host)
                context = upTo(newest, self.certificate.serving())
                mx = self.serve(
                    self.certificate,
                    contextFactory=context,
                    implicitTLS=implicit,
                    users={"u": "secret"},
                )
                with Logged() as logged:
                    self.relayed()
                self.assertEqual(len(mx.received), 1)
                version = "TLSv1.2" if newest == SSL.TLS1_2_VERSION else "TLSv1.3"
                self.assertIn(f" tls={version} ", logged.outcomes[0])
                self.assertEmpty()

    def test_D09_A02_notKnown(self) -> None:
        """
        To one that shows something else nothing is said once it has: no second EHLO,
        not even QUIT; over both versions of TLS, and where TLS begins with the
        connection nothing at all.
        """
        strange = (ThrowawayCA("Else").issue(NAME).tlsa(3, 1, 1),)
        for newest in VERSIONS:
            for implicit, wanted in (
                (False, [b"EHLO relay.example.com", b"STARTTLS"]),
                (True, []),
            ):
                self.anew()
                host = self.host(TLSNeed.DANE, tlsa=strange, implicitTLS=implicit)
                self.smartHosts(host)
                context = upTo(newest, self.certificate.serving())
                mx = self.serve(
                    self.certificate, contextFactory=context, implicitTLS=implicit
                )
                with Logged() as logged:
                    self.assertRetried(*self.relayed())
                self.assertEqual(self.said, wanted)
                self.assertUntold(mx)
                self.assertEqual(len(mx.sessions), 1)
                found = self.trouble()
                self.assertIs(found.kind, TroubleKind.TLS)
                self.assertIs(found.phase, Phase.STARTTLS)
                self.assertIs(found.result, TLSResult.FAILED)
                self.assertIn("TLSA records name none", logged.outcomes[0])
                self.assertIn(" status=4.7.5 ", logged.outcomes[0])
                self.assertIn(" tls=- ", logged.outcomes[0])

    def test_D09_authorities(self) -> None:
        """
        With an authority in the records, the host's certificate is for one of its
        names and valid today, or nothing is said to it.
        """
        anchor = self.authority.certificate
        root = (anchor.tlsa(2, 0, 0),)
        for shown, names, result in (
            (self.certificate, (), None),
            (self.authority.issue("example.org"), (NAME, "example.org"), None),
            (self.authority.issue("x.example"), (NAME,), TLSResult.WRONG_NAME),
            (self.authority.issue(NAME, expired=True), (), TLSResult.EXPIRED),
            (ThrowawayCA().issue(NAME), (), TLSResult.NOT_TRUSTED),
        ):
            self.anew()
            self.smartHosts(self.host(TLSNeed.DANE, tlsa=root, names=names))
            mx = self.serve(shown)
            relayed = self.relayed()
            if result is None:
                self.assertEqual(len(mx.received), 1, shown.names)
                continue
            self.assertRetried(*relayed)
            self.assertUntold(mx)
            self.assertIs(self.trouble().result, result)

    def test_D09_nextHost(self) -> None:
        """
        The next host is tried, as it is to be known.
        """
        other = self.authority.issue(OTHER)
        strange = (other.tlsa(3, 1, 1),)
        self.smartHosts(
            self.host(TLSNeed.DANE, tlsa=strange),
            self.host(TLSNeed.DANE, OTHER, tlsa=strange),
        )
        first, second = self.serve(self.certificate), self.serve(other, SECOND)
        self.relayed()
        self.assertEqual((len(first.received), len(second.received)), (0, 1))
        self.assertEqual(len(first.sessions), 1)
        self.assertEmpty()

    def test_D09_recordsThatCannotBeUsed(self) -> None:
        """
        A host of which it is said that its records name it, and that has none that
        can be used, is not known.
        """
        self.smartHosts(self.host(TLSNeed.DANE, tlsa=()))
        mx = self.serve(self.certificate)
        self.assertRetried(*self.relayed())
        self.assertUntold(mx)
        self.assertIs(self.trouble().result, TLSResult.TLSA_INVALID)


class VerifiedTests(ProtectedCase):
    """
    Hosts whose certificates are to be valid for them.
    """

    def test_D09_A02_notKnown(self) -> None:
        """
        Nothing is said to one whose certificate is not, and the reason is told by its
        name and in words.
        """
        for shown, result, words in (
            (self.authority.issue("x.example"), TLSResult.WRONG_NAME, "for x.example"),
            (self.authority.issue(NAME, expired=True), TLSResult.EXPIRED, "expired on"),
            (
                ThrowawayCA("Else").issue(NAME),
                TLSResult.NOT_TRUSTED,
                "does not trust",
            ),
        ):
            for implicit in (False, True):
                self.anew()
                self.smartHosts(self.host(TLSNeed.VERIFIED, implicitTLS=implicit))
                mx = self.serve(shown, implicitTLS=implicit)
                with Logged() as logged:
                    self.assertRetried(*self.relayed())
                self.assertUntold(mx)
                self.assertIs(self.trouble().result, result)
                self.assertIn(words, logged.outcomes[0])

    def test_anyName(self) -> None:
        """
        One of its names is enough.
        """
        host = self.host(TLSNeed.VERIFIED, "alias.example", names=(OTHER, NAME))
        self.smartHosts(host)
        mx = self.serve(self.certificate)
        self.relayed()
        self.assertEqual(len(mx.received), 1)

    def test_clientCertificate(self) -> None:
        """
        A host that wants a certificate of this relay gets it, and in words it is
        said what to do where there is none.
        """
        key, cert = self.authority.issue("relay.example.com").write(self.mktemp())
        wanting = self.certificate.serving(clients=self.authority)
        self.smartHosts(self.host(TLSNeed.VERIFIED, certFile=cert, keyFile=key))
        mx = self.serve(self.certificate, contextFactory=wanting)
        self.relayed()
        self.assertEqual(len(mx.received), 1)
        self.smartHosts(self.host(TLSNeed.VERIFIED))
        with Logged() as logged:
            self.assertRetried(*self.relayed())
        self.assertIn("client-cert and client-key", logged.outcomes[0])
