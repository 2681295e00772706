# -*- test-case-name: relaymail.test.stories.test_resuming -*-
"""
Connections that take up the TLS session of one before them.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from relaymail.deliver.relayers import SMTPManagedRelayerFactory
from relaymail.deliver.resuming import isStale, wasStale
from relaymail.protections import TLSResult
from relaymail.replies import Phase, Reply, Trouble, TroubleKind
from relaymail.route import tlscontexts
from relaymail.route.dane import pathProblem
from relaymail.route.hosts import Host, TLSNeed
from relaymail.route.peers import Problem
from relaymail.route.tlscontexts import Creator
from relaymail.route.tlssessions import LONGEST
from relaymail.test.stories.harness import FIRST
from relaymail.test.stories.test_protected import (
    NAME,
    VERSIONS,
    ProtectedCase,
    upTo,
)
from relaymail.testing.certificates import Throwaway
from relaymail.testing.servers import SMTPServer

NEEDS = (TLSNeed.OFFERED, TLSNeed.ENCRYPTED, TLSNeed.VERIFIED, TLSNeed.DANE)


class ResumingTests(ProtectedCase):
    """
    One host, and one connection after the other.

    @ivar made: The TLS connections, in their order.
    """

    def setUp(self) -> None:
        super().setUp()
        self.made: list[Any] = []
        make = Creator.clientConnectionForTLS

        def clientConnectionForTLS(creator: Any, protocol: Any) -> Any:
            self.made.append(make(creator, protocol))
            return self.made[-1]

        self.patch(Creator, "clientConnectionForTLS", clientConnectionForTLS)

    def anew(self) -> None:
        """
        Begin again.
        """
        super().anew()
        self.made.clear()

    def serving(self, certificate: Throwaway, newest: int = SSL.TLS1_3_VERSION) -> Any:
        """
        Give what a server begins TLS with that lets sessions be taken up.
        """
        options = upTo(newest, certificate.serving(enableSessionTickets=True))
        options.getContext().set_session_id(b"a test")
        return options

    def send(self) -> None:
        """
        Send a message over a connection of its own.
        """
        self.relayed()
        self.assertEmpty()

    def isResumed(self, connection: SSL.Connection) -> bool:
        """
        Tell whether both ends took a session up.  That of TLS 1.2 keeps its secret;
        in that of 1.3 no certificate is sent any more.
        """
        library: Any = SSL
        reused = getattr(library._lib, "SSL_session_reused", None)
        if reused is None:
            raise SkipTest("this pyOpenSSL does not tell whether a session goes on")
        return bool(reused(connection._ssl))

    def resumed(self) -> list[bool]:
        """
        Tell of each connection.
        """
        return [self.isResumed(each) for each in self.made]

    def prepared(
        self, need: TLSNeed, implicit: bool = False, newest: int = SSL.TLS1_3_VERSION
    ) -> SMTPServer:
        """
        Put a host there, and send to it.
        """
        self.anew()
        self.smartHosts(self.host(need, implicitTLS=implicit))
        context = self.serving(self.certificate, newest)
        return self.serve(
            self.certificate, contextFactory=context, implicitTLS=implicit
        )

    def test_takenUp(self) -> None:
        """
        The second connection takes up the session of the first, and the third that of
        the second; for every need, by both versions, by STARTTLS and without.
        """
        for need in NEEDS:
            for newest in VERSIONS:
                for implicit in (False, True):
                    mx = self.prepared(need, implicit, newest)
                    for _ in range(3):
                        self.send()
                    told = f"{need} {newest} {implicit}"
                    self.assertEqual(self.resumed(), [False, True, True], told)
                    self.assertEqual(len(mx.received), 3)

    def test_afterALongTime(self) -> None:
        """
        After a long time all is done anew.
        """
        self.prepared(TLSNeed.VERIFIED)
        self.send()
        self.world.run(LONGEST)
        self.send()
        self.assertEqual(self.resumed(), [False, False])

    def test_A02_anotherNeed(self) -> None:
        """
        What was taken from a host that nobody looked at is not offered to one that is
        to be known, and the other way round.
        """
        mx = self.prepared(TLSNeed.ENCRYPTED)
        for need in (*NEEDS, *NEEDS):
            self.smartHosts(self.host(need))
            self.send()
        self.assertEqual(self.resumed(), [False] * 4 + [True] * 4)
        self.assertEqual(len(mx.received), 8)

    def test_A02_otherRecords(self) -> None:
        """
        Where the TLSA records of the host are others now, all is done anew, and looked
        at.
        """
        mx = self.prepared(TLSNeed.DANE)
        self.send()
        strange = (self.authority.issue(NAME).tlsa(3, 1, 1),)
        self.smartHosts(self.host(TLSNeed.DANE, tlsa=strange))
        self.assertRetried(*self.relayed())
        self.assertEqual(self.resumed(), [False, False])
        self.assertEqual(len(mx.received), 1)

    def test_A02_lookedAtAgain(self) -> None:
        """
        Whose certificate has expired since is not the host any more, though it takes
        the session up: it is tried once more anew, in case it has another, and
        nothing is said to it before.
        """
        problem = Problem(TLSResult.EXPIRED, "it has expired")
        for need in (TLSNeed.VERIFIED, TLSNeed.DANE):
            for implicit in (False, True):
                mx = self.prepared(need, implicit)
                self.send()
                self.said.clear()
                looks: list[bool] = []

                def look(*args: Any, looks: list[bool] = looks) -> Problem | None:
                    looks.append(self.isResumed(self.made[-1]))
                    return problem if looks[-1] else None

                if need is TLSNeed.VERIFIED:
                    patch = self.patch(tlscontexts, "pathProblem", look)
                else:
                    patch = self.patch(tlscontexts, "_againstRecords", look)
                self.send()
                self.assertEqual(looks[0], True)
                self.assertEqual(self.resumed(), [False, True, False])
                self.assertEqual(len(mx.received), 2)
                # One session, in which nothing was said, and one in which mail was.
                begins = 2 if implicit else 4
                said = [line for line in self.said if line.startswith(b"EHLO")]
                self.assertEqual(len(said), begins - 1)
                patch.restore()

    def test_realLookAgain(self) -> None:
        """
        The certificates of a session that is taken up are there, and are verified
        against those that are trusted, by date, by purpose and by name.
        """
        self.prepared(TLSNeed.VERIFIED)
        self.send()
        self.send()
        connection = self.made[-1]
        self.assertTrue(self.isResumed(connection))
        for name, result in ((NAME, None), ("x.example", TLSResult.WRONG_NAME)):
            host = Host(name, tls=TLSNeed.VERIFIED, caFile=self.caFile)
            check: Any = tlscontexts.peerCheckFor(host)
            problem = check(connection)
            self.assertEqual(problem and problem.result, result)
        store: Any = connection.get_context().get_cert_store()
        own, *others = connection.get_peer_cert_chain()
        self.assertIsNone(pathProblem(own, others, store))

    def test_forgottenByTheHost(self) -> None:
        """
        A host that does not know the session any more shows its certificate again, and
        is looked at as at first.
        """
        for need in NEEDS:
            self.prepared(need)
            self.send()
            self.serve(self.certificate, contextFactory=self.serving(self.certificate))
            self.send()
            self.assertEqual(self.resumed(), [False, False], need)

    def test_D09_brokenBecauseOfIt(self) -> None:
        """
        A host whose TLS breaks when a session is offered is tried once more with TLS
        and without the session, and not in clear.
        """
        old = SSL.Context(SSL.TLS_METHOD)
        old.set_max_proto_version(SSL.TLS1_2_VERSION)
        make = Creator.clientConnectionForTLS

        def broken(creator: Any, protocol: Any) -> Any:
            made = make(creator, protocol)
            return made if creator.session is None else SSL.Connection(old, None)

        self.patch(Creator, "clientConnectionForTLS", broken)
        for need in NEEDS:
            self.anew()
            self.smartHosts(self.host(need))
            context = self.serving(self.certificate)
            context.getContext().set_min_proto_version(SSL.TLS1_3_VERSION)
            mx = self.serve(self.certificate, contextFactory=context)
            self.send()
            self.send()
            self.assertEqual(len(self.made), 3, need)
            self.assertEqual(self.resumed(), [False] * 3)
            self.assertEqual(len(mx.received), 2)
            self.assertTrue(mx.received[-1].session.isTLS)
            failed = {getattr(each, "result", None) for each in self.evidence}
            self.assertIn(TLSResult.FAILED, failed)

    def test_A05_longChains(self) -> None:
        """
        The session of a host that shows more certificates than anybody needs is not
        kept, for these would be, too.
        """
        for count, isKept in ((1, True), (90, False)):
            self.anew()
            self.smartHosts(self.host(TLSNeed.OFFERED))
            shown = self.certificate.sending(*[self.certificate] * count)
            self.serve(self.certificate, contextFactory=self.serving(shown))
            self.send()
            self.send()
            self.assertEqual(self.resumed(), [False, isKept], count)

    def test_onlyOfGoodOnes(self) -> None:
        """
        Connections over which nothing could be sent leave nothing to take up.
        """
        for answers in (
            {"EHLO": lambda session, _: "502 no" if session.isTLS else None},
            {"MAIL": "421 Not now"},
        ):
            self.anew()
            self.smartHosts(self.host(TLSNeed.ENCRYPTED))
            context = self.serving(self.certificate)
            self.serve(self.certificate, contextFactory=context, answers=answers)
            self.relayed()
            self.assertEqual(len(self.world.manager.tlsSessions), 0, answers)
            for each in self.evidence:
                self.assertNotIsInstance(each, Trouble)

    def test_notPickled(self) -> None:
        """
        They do not outlive the process.
        """
        self.prepared(TLSNeed.OFFERED)
        self.send()
        manager = self.world.manager
        self.assertEqual(len(manager.tlsSessions), 1)
        self.assertNotIn("tlsSessions", manager.__getstate__())
        self.assertEqual(self.world.zones[NAME], {"A": [FIRST]})


class StaleTests(SynchronousTestCase):
    """
    Tests for L{isStale} and L{wasStale}.
    """

    def test_whatMayBe(self) -> None:
        """
        A handshake that failed may have failed because of a session that was offered;
        what was no handshake did not.  It is asked once what to do about that.
        """
        failed = Trouble(Phase.STARTTLS, TroubleKind.TLS, "x", TLSResult.FAILED)
        refused = Trouble(Phase.STARTTLS, TroubleKind.TLS, "x", TLSResult.NO_STARTTLS)
        for offered, evidence, wanted in (
            (True, failed, True),
            (False, failed, False),
            (True, refused, False),
            (True, Trouble(Phase.MAIL, TroubleKind.LOST), False),
            (True, Reply(454), False),
        ):
            factory = SMTPManagedRelayerFactory([], None)
            factory.mayBeStale = offered
            self.assertEqual(isStale(factory, evidence), wanted)
            self.assertEqual(wasStale(factory, evidence), wanted)
            self.assertFalse(wasStale(factory, evidence))
