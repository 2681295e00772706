# -*- test-case-name: relaymail.test.endtoend.test_protection -*-
"""
Nobody on the way gets mail that is to be protected: whatever a host, its DNS or
somebody between does, there is no MAIL command in clear nor at a wrong host.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import deferLater

from relaymail.outcomes import Bounce, Delivered, Retry
from relaymail.protections import TLSResult
from relaymail.replies import Trouble
from relaymail.route import protecting
from relaymail.route.levels import TLSLevel
from relaymail.route.rules import Routing, Rule
from relaymail.route.sts.policy import STSMode
from relaymail.route.terms import Terms
from relaymail.schedule.paces import MANY_FAILURES
from relaymail.test.endtoend.protections import (
    ALL,
    DANE,
    DANE_HOST,
    DANE_ONLY,
    DOMAIN,
    ELSEWHERE,
    ENFORCE,
    HERE,
    MX,
    NAMED,
    REQUIRETLS,
    SECOND,
    VERIFY,
    Protection,
    ProtectionTestCase,
    Scene,
    certificate,
    enforced,
    stranger,
)
from relaymail.testing.dns import Fault, Special
from relaymail.testing.servers import BROKEN_TLS, Act, Raw

#: A destination of which nothing is known, and that the operator says nothing of.
NOTHING = Protection("nothing", TLSLevel.OPPORTUNISTIC)
EVIL = "mx.evil.example"
#: The operator says no more of the second destination than of all others.
OTHERS = Rule(recipients=(SECOND,), terms=Terms(TLSLevel.OPPORTUNISTIC))


class GoodTests(ProtectionTestCase):
    """
    Where all is well.
    """

    async def test_delivered(self) -> None:
        """
        Mail arrives, over TLS.
        """
        for protection in ALL:
            scene = self.scene(protection)
            self.assertDelivered(scene, await scene.send())

    async def test_requireTLSIsSaid(self) -> None:
        """
        RFC 8689 4.2.1: the next host is told that its mail may go over TLS only.
        """
        for protection in (DANE, ENFORCE, VERIFY):
            scene = self.scene(protection)
            self.assertDelivered(scene, await scene.send(requireTLS=True))
            self.assertIn("REQUIRETLS", scene.mails[0])

    async def test_rfc7672_3_1_1_namesAndDates(self) -> None:
        """
        Where a TLSA record names the certificate of the host itself, neither names nor
        dates in it matter.
        """
        for shown in (certificate(expired=True), certificate(EVIL), stranger()):
            scene = self.scene(DANE_HOST, shows=shown)
            scene.setTLSA(shown.tlsa(3, 1, 1))
            self.assertDelivered(scene, await scene.send())

    async def test_rfc7672_3_2_2_destinationName(self) -> None:
        """
        Below a trust anchor the certificate may be for the destination.
        """
        scene = self.scene(DANE, shows=certificate(DOMAIN))
        self.assertDelivered(scene, await scene.send())

    async def test_rfc7672_2_2_2_aliases(self) -> None:
        """
        The records of the name that a signed alias leads to count; the certificate is
        for that name, which TLS asks for.
        """
        scene = self.scene(DANE_ONLY, shows=certificate("c.one.example"))
        records = scene.zones.zones.pop(f"_{scene.server.port}._tcp.{MX}")
        scene.zones.zones |= {
            MX: {"CNAME": ["c.one.example"]},
            "c.one.example": {"A": [HERE]},
            f"_{scene.server.port}._tcp.c.one.example": records,
        }
        self.assertDelivered(scene, await scene.send())

    async def test_rfc7672_3_1_3_unusable(self) -> None:
        """
        TLSA records that mean nothing ask for TLS, and for no more.
        """
        scene = self.scene(DANE, shows=stranger())
        scene.setTLSA(f"1 1 1 {'00' * 32}")
        self.assertDelivered(scene, await scene.send())
        scene = self.scene(DANE, hasTLS=False)
        scene.setTLSA(f"1 1 1 {'00' * 32}")
        self.assertWaits(scene, await scene.send())

    async def test_nothing(self) -> None:
        """
        Where nobody asks for more, mail goes in clear to a host whose TLS does not
        work: what the other tests see is not for want of trying.
        """
        for answer in (BROKEN_TLS, "454 4.7.0 Later", Act.CLOSE):
            scene = self.scene(NOTHING, answers={"STARTTLS": answer})
            self.assertIsInstance(await scene.send(), Delivered)
            self.assertEqual([mail.split()[1] for mail in scene.mails], ["clear"])


class HostTests(ProtectionTestCase):
    """
    What a host does, or somebody between does in its name.
    """

    async def refused(
        self, protections: tuple[Protection, ...], *words: str, **how: Any
    ) -> list[Trouble]:
        """
        Check that mail waits, however its destination is protected.

        @param words: What is said.
        @param how: What is done.

        @return: The reasons.
        """
        troubles = []
        for protection in protections:
            scene = self.scene(protection, **how)
            outcome = await scene.send()
            self.assertWaits(scene, outcome, *words)
            self.assertEqual(len(scene.server.sessions), 1, protection)
            assert isinstance(outcome.evidence, Trouble)
            troubles.append(outcome.evidence)
        return troubles

    def assertResults(self, troubles: list[Trouble], *expected: TLSResult) -> None:
        """
        Check what the reasons are called in reports.
        """
        self.assertEqual({trouble.result for trouble in troubles}, set(expected))

    async def test_D09_notOffered(self) -> None:
        """
        It offers no STARTTLS.  With REQUIRETLS that is for good: it cannot promise TLS
        for the rest of the way (RFC 8689 2).
        """
        others = tuple(each for each in ALL if each is not REQUIRETLS)
        told = await self.refused(others, "starting TLS", hasTLS=False)
        self.assertResults(told, TLSResult.NO_STARTTLS)
        scene = self.scene(REQUIRETLS, hasTLS=False)
        outcome = await scene.send()
        self.assertIsInstance(outcome, Bounce)
        self.assertEqual((outcome.status, scene.mails), ("5.7.30", []))

    async def test_D09_refusedNow(self) -> None:
        """
        It offers STARTTLS, and refuses it for now.
        """
        answers = {"STARTTLS": "454 4.7.0 TLS not available"}
        told = await self.refused(ALL, "454 4.7.0 TLS not", answers=answers)
        self.assertResults(told, TLSResult.NO_STARTTLS)

    async def test_D09_refused(self) -> None:
        """
        It offers STARTTLS, and refuses it.
        """
        answers = {"STARTTLS": "502 5.5.1 Not implemented"}
        await self.refused(ALL, "502 5.5.1 Not implemented", answers=answers)

    async def test_D09_garbage(self) -> None:
        """
        It answers STARTTLS with what is no reply.
        """
        answers = {"STARTTLS": Raw(b"what is that to you\r\n")}
        await self.refused(ALL, "what is that to you", answers=answers)

    async def test_D09_handshake(self) -> None:
        """
        It agrees, and then speaks no TLS.
        """
        answers = {"STARTTLS": BROKEN_TLS}
        await self.refused(ALL, "starting TLS", answers=answers)

    async def test_D09_closed(self) -> None:
        """
        It goes away.
        """
        for act in (Act.CLOSE, Act.RESET):
            await self.refused(ALL, "starting TLS", answers={"STARTTLS": act})

    async def test_D09_injected(self) -> None:
        """
        Somebody between says something in clear behind the answer to STARTTLS: it is
        not taken for the answer to what is asked over TLS, which would be that the
        host takes one byte, and knows no REQUIRETLS.
        """
        injected = "220 2.0.0 Go on\r\n250-mx.one.example\r\n250 SIZE 1"
        for protection in ALL:
            scene = self.scene(protection, answers={"STARTTLS": injected})
            self.assertDelivered(scene, await scene.send())

    async def test_wrongAuthority(self) -> None:
        """
        It shows a certificate from nobody that is trusted.
        """
        pkix, dane = (VERIFY, ENFORCE, REQUIRETLS), (DANE, DANE_ONLY, DANE_HOST)
        told = await self.refused(pkix, "does not trust", shows=stranger())
        self.assertResults(told, TLSResult.NOT_TRUSTED)
        await self.refused(dane, "TLSA records name none", shows=stranger())

    async def test_expired(self) -> None:
        """
        It shows a certificate that has expired.
        """
        shown = certificate(expired=True)
        told = await self.refused(NAMED, "expired", shows=shown)
        self.assertResults(told, TLSResult.EXPIRED)

    async def test_wrongName(self) -> None:
        """
        It shows a certificate for another name, from an authority that is trusted.
        """
        told = await self.refused(NAMED, EVIL, MX, shows=certificate(EVIL))
        self.assertResults(told, TLSResult.WRONG_NAME)

    async def test_wrongKey(self) -> None:
        """
        It shows a certificate of the same authority for the same name, which is not
        the one that its TLSA record names.
        """
        shown = certificate(MX, "other.one.example")
        await self.refused((DANE_HOST,), "TLSA records name none", shows=shown)

    async def test_nextHost(self) -> None:
        """
        The next host gets the mail, if it proves to be that, and the first one nothing.
        """
        names = ("bad.one.example", MX)
        for protection in (VERIFY, DANE, ENFORCE, REQUIRETLS):
            scene = self.scene(protection)
            scene.policies.found[DOMAIN] = enforced("*.one.example")
            scene.zones.zones |= {
                DOMAIN: {"MX": [(n, name) for n, name in enumerate(names)]},
                # Its certificate is for EVIL.
                names[0]: {"A": [ELSEWHERE]},
            }
            self.assertDelivered(scene, await scene.send())
            self.assertEqual(len(scene.other.sessions), 1)


class DNSTests(ProtectionTestCase):
    """
    What somebody on the way to the name servers does.
    """

    def spoofed(self, protection: Protection) -> Scene:
        """
        Begin where the MX record leads to somebody else, who has all that can be had
        for that name: a certificate, signed addresses, TLSA records.
        """
        scene = self.scene(protection)
        scene.zones.signed = {"evil.example"}
        record = certificate(EVIL).tlsa(3, 1, 1)
        scene.zones.zones |= {
            DOMAIN: {"MX": [(10, EVIL)]},
            f"_{scene.server.port}._tcp.{EVIL}": {"TLSA": [record]},
        }
        return scene

    async def test_spoofedMX(self) -> None:
        """
        MX records that nobody signed lead to no host that would be believed.
        """
        for protection, words in (
            (VERIFY, "nobody vouches for"),
            (DANE_ONLY, "not signed"),
            (ENFORCE, "none of the hosts"),
        ):
            scene = self.spoofed(protection)
            self.assertWaits(scene, await scene.send(), EVIL, words)
            self.assertEqual(scene.other.sessions, [])

    async def test_spoofedMXWithRequireTLS(self) -> None:
        """
        RFC 8689 4.2.1: mail that may go over TLS only comes back then.
        """
        scene = self.spoofed(REQUIRETLS)
        outcome = await scene.send()
        self.assertIsInstance(outcome, Bounce)
        self.assertEqual(outcome.status, "5.7.30")
        self.assertIn("nobody vouches for", outcome.text)
        self.assertEqual((scene.mails, scene.other.sessions), ([], []))

    async def test_spoofedAlias(self) -> None:
        """
        Neither does an alias that nobody signed.
        """
        for protection in (VERIFY, DANE_ONLY, ENFORCE):
            scene = self.spoofed(protection)
            scene.zones.zones |= {
                DOMAIN: {"CNAME": ["evil.example"]},
                "evil.example": {"MX": [(10, EVIL)]},
            }
            self.assertWaits(scene, await scene.send())
            self.assertEqual(scene.other.sessions, [])

    async def test_spoofedMXBogus(self) -> None:
        """
        MX records that are not what they were signed as are as good as no answer.
        """
        for protection in ALL:
            scene = self.scene(protection)
            forged = {"MX": [(10, EVIL)]}
            scene.zones.zones[DOMAIN] = Special(forged, isBogus=True)
            self.assertWaits(scene, await scene.send(), "looking up")

    async def test_spoofedAddress(self) -> None:
        """
        Who answers at another address has no certificate for the host.
        """
        for protection in ALL:
            scene = self.scene(protection)
            scene.zones.zones[MX] = {"A": [ELSEWHERE]}
            self.assertWaits(scene, await scene.send(), "starting TLS")
            self.assertEqual(len(scene.other.sessions), 1)

    async def test_rfc7672_2_1_2_bogusTLSA(self) -> None:
        """
        TLSA records that are not what they were signed as, or cannot be had, make of
        no host one that needs none.
        """
        for protection in (DANE, DANE_HOST, DANE_ONLY, REQUIRETLS):
            for fault in (Special({"TLSA": []}, isBogus=True), Fault.SERVFAIL):
                scene = self.scene(protection)
                scene.zones.zones[f"_{scene.server.port}._tcp.{MX}"] = fault
                outcome = await scene.send()
                self.assertWaits(scene, outcome, "the TLSA records of", MX)
                self.assertEqual(scene.server.sessions, [])
                assert isinstance(outcome.evidence, Trouble)
                self.assertIs(outcome.evidence.result, TLSResult.DNSSEC_INVALID)

    async def test_rfc7672_2_1_2_bogusAddress(self) -> None:
        """
        Addresses that are not what they were signed as, or cannot be had, neither.
        """
        for protection in (DANE, DANE_ONLY, REQUIRETLS):
            for fault in (Special({"A": [ELSEWHERE]}, isBogus=True), Fault.SERVFAIL):
                scene = self.scene(protection)
                scene.zones.zones[MX] = fault
                self.assertWaits(scene, await scene.send(), "looking up", MX)

    async def test_otherHostRefuses(self) -> None:
        """
        Mail does not come back because of what one host says as long as another one
        is left out that may take it later.
        """
        names = (MX, "mx2.one.example")
        for name, isLeft in ((f"_{{}}._tcp.{MX}", True), ("unused.example", False)):
            scene = self.scene(DANE)
            refusal = "554 5.3.2 No service here"
            scene.server.answers["CONNECT"] = scene.other.answers["CONNECT"] = refusal
            scene.zones.zones |= {
                DOMAIN: {"MX": [(n, name) for n, name in enumerate(names)]},
                names[1]: {"A": [ELSEWHERE]},
                name.format(scene.server.port): Fault.SERVFAIL,
            }
            outcome = await scene.send()
            self.assertIsInstance(outcome, Retry if isLeft else Bounce)
            self.assertEqual(scene.mails, [])

    async def test_strippedTLSA(self) -> None:
        """
        Without TLSA records, or with some that nobody signed, nobody gets mail that is
        to go by them only.
        """
        for isSigned in (True, False):
            scene = self.scene(DANE_ONLY)
            if isSigned:
                scene.setTLSA()
            else:
                scene.zones.signed = {DOMAIN}
                scene.zones.zones[DOMAIN] = {"MX": [(10, "mx.plain.example")]}
                scene.zones.zones |= {"mx.plain.example": {"A": [HERE]}}
            self.assertWaits(scene, await scene.send(), "dane-only")
            self.assertEqual(scene.server.sessions, [])

    async def test_A07_manyTLSA(self) -> None:
        """
        Many TLSA records that mean nothing do not hide the one that does.
        """
        unusable = [(1, 1, 1, bytes([number]) * 32) for number in range(100)]
        for shown in (certificate(), stranger()):
            scene = self.scene(DANE, shows=shown)
            scene.setTLSA(*unusable, *DANE.records())
            outcome = await scene.send()
            if shown is certificate():
                self.assertDelivered(scene, outcome)
            else:
                self.assertWaits(scene, outcome, "name none of the certificates")

    async def test_noValidation(self) -> None:
        """
        A name server that does not validate ends no protection that does not rest on
        it, and makes mail wait that does.
        """
        for protection in (VERIFY, ENFORCE):
            scene = self.scene(protection)
            scene.zones.validates = False
            self.assertDelivered(scene, await scene.send())
        scene = self.scene(DANE_ONLY)
        scene.zones.validates = False
        self.assertWaits(scene, await scene.send(), "not signed")

    async def test_rfc8461_4_1_notInPolicy(self) -> None:
        """
        A host that the policy does not name is not even connected to, whatever it
        could show, and whichever preference it has.
        """
        scene = self.scene(ENFORCE)
        scene.zones.zones[DOMAIN] = {"MX": [(1, EVIL), (10, MX)]}
        self.assertDelivered(scene, await scene.send())
        self.assertEqual(scene.other.sessions, [])

    async def test_rfc8461_5_testing(self) -> None:
        """
        A policy that is only tested keeps no mail back, and it is told what it would
        have kept.
        """
        stale, other = certificate(expired=True), certificate(EVIL)
        for pattern, shown, result in (
            (MX, certificate(), None),
            (MX, stranger(), TLSResult.NOT_TRUSTED),
            (MX, stale, TLSResult.EXPIRED),
            (MX, other, TLSResult.WRONG_NAME),
            ("other.example", certificate(), TLSResult.FAILED),
        ):
            scene = self.scene(NOTHING, shows=shown)
            scene.policies.found[DOMAIN] = enforced(pattern, mode=STSMode.TESTING)
            self.assertDelivered(scene, await scene.send())
            (session,) = scene.sessions
            self.assertIs(session.result, result, session.why)
            self.assertEqual([a.patterns for a in session.applied], [(pattern,)])


class ReuseTests(ProtectionTestCase):
    """
    Connections that were made before.
    """

    async def kept(self, recipient: str, **how: Any) -> Scene:
        """
        Begin where a connection to the host is kept, to which mail went as nobody
        asks for more; the host shows a certificate of nobody that is known.
        """
        scene = self.scene(NOTHING, shows=stranger(), **how)
        scene.manager.idleTimeout = 10
        self.assertIsInstance(await scene.send(recipient), Delivered)
        self.assertEqual(len(scene.server.open), 1)
        return scene

    async def unprotected(self, scene: Scene, recipient: str, **more: Any) -> None:
        """
        Check that no more mail came than what was sent before.
        """
        before = scene.mails
        outcome = await scene.send(recipient, **more)
        self.assertNotIsInstance(outcome, Delivered)
        self.assertEqual(scene.mails, before)

    async def test_isKept(self) -> None:
        """
        What needs no more goes over the connection that is there.
        """
        scene = await self.kept(f"b@{DOMAIN}")
        self.assertIsInstance(await scene.send(f"c@{DOMAIN}"), Delivered)
        self.assertEqual(len(scene.server.sessions), 1)

    async def test_otherDestination(self) -> None:
        """
        A connection to a host is not used for another destination that wants to know
        who it is.
        """
        scene = await self.kept(f"b@{SECOND}")
        scene.policies.found[DOMAIN] = ENFORCE.policy
        await self.unprotected(scene, f"b@{DOMAIN}")

    async def test_policyAppears(self) -> None:
        """
        Neither is it for the same destination once that wants to know, when what was
        known of it has run out.
        """
        self.patch(protecting, "MIN_HOLD", 0.1)
        for policy in (ENFORCE.policy, enforced("other.example")):
            scene = await self.kept(f"b@{DOMAIN}", ttl=0)
            scene.policies.found[DOMAIN] = policy
            await deferLater(scene.reactor, 0.15)
            await self.unprotected(scene, f"b@{DOMAIN}")
            # Nor for what comes after one that had no host at all.
            await self.unprotected(scene, f"b@{DOMAIN}")

    async def test_lookedUpAgain(self) -> None:
        """
        Where what is looked up again is as it was, mail goes on over the connection
        that is there.
        """
        self.patch(protecting, "MIN_HOLD", 0.1)
        scene = await self.kept(f"b@{DOMAIN}", ttl=0)
        await deferLater(scene.reactor, 0.15)
        asked = len(scene.zones.asked)
        self.assertIsInstance(await scene.send(), Delivered)
        self.assertEqual(len(scene.server.sessions), 1)
        self.assertGreater(len(scene.zones.asked), asked)

    async def test_requireTLS(self) -> None:
        """
        Nor for mail that may go over TLS only.
        """
        scene = await self.kept(f"b@{DOMAIN}")
        await self.unprotected(scene, f"b@{DOMAIN}", requireTLS=True)

    async def test_tlsOptional(self) -> None:
        """
        A connection that was made for mail for which TLS is not required is not used
        for mail for which it is.
        """
        scene = self.scene(ENFORCE, shows=stranger())
        scene.manager.idleTimeout = 10
        self.assertIsInstance(await scene.send(tlsOptional=True), Delivered)
        await self.unprotected(scene, f"b@{DOMAIN}", requireTLS=False)


class RememberedTests(ProtectionTestCase):
    """
    What was remembered of a host from sessions that needed less.
    """

    async def test_resumedSession(self) -> None:
        """
        The TLS session with a host that nobody looked at is not taken up again by mail
        that wants to know who it is.
        """
        for protection in (ENFORCE, VERIFY):
            scene = self.scene(protection, shows=stranger())
            scene.manager.routing = Routing([OTHERS])
            for _ in range(2):
                outcome = await scene.send(f"b@{SECOND}", tlsOptional=True)
                self.assertIsInstance(outcome, Delivered)
            before = scene.mails
            self.assertIsInstance(await scene.send(), Retry)
            self.assertEqual(scene.mails, before)

    async def test_failedTLS(self) -> None:
        """
        That the TLS of a host failed, so that mail went there in clear for which that
        is well, is no reason to send other mail in clear.
        """
        for protection in (DANE, ENFORCE, REQUIRETLS):
            scene = self.scene(protection, answers={"STARTTLS": BROKEN_TLS})
            easy = await scene.send(tlsOptional=True)
            self.assertIsInstance(easy, Delivered)
            before = scene.mails
            self.assertIsInstance(await scene.send(), Retry)
            self.assertEqual(scene.mails, before)
            # Once it works again, it does.
            scene.server.answers.clear()
            self.assertIsInstance(await scene.send(), Delivered)
            self.assertIn("TLS", scene.mails[-1])


class OthersTests(ProtectionTestCase):
    """
    What one destination, or one sender, wants is not what others want.
    """

    async def test_A05_notSuspended(self) -> None:
        """
        Who names the hosts of others as his, and wants TLS that they do not have, does
        not keep the mail of the others from them; nor does a sender who wants it.
        """
        for parameters in ({}, {"requireTLS": True}):
            for hasTLS in (True, False):
                scene = self.scene(NOTHING, shows=stranger(), hasTLS=hasTLS)
                scene.policies.found[SECOND] = enforced(MX)
                for _ in range(MANY_FAILURES):
                    outcome = await scene.send(f"b@{SECOND}", **parameters)
                    isOver = bool(parameters) and not hasTLS
                    self.assertIsInstance(outcome, Bounce if isOver else Retry)
                self.assertEqual(scene.mails, [])
                self.assertIsInstance(await scene.send(), Delivered)


class TLSOptionalTests(ProtectionTestCase):
    """
    RFC 8689 4.3: mail for which TLS is not required.
    """

    async def test_rfc8689_4_3_destination(self) -> None:
        """
        It gets through where what the destination wants cannot be had.
        """
        for protection in (DANE, DANE_HOST, ENFORCE):
            scene = self.scene(protection, shows=stranger())
            self.assertIsInstance(await scene.send(tlsOptional=True), Delivered)
            scene = self.scene(protection, hasTLS=False)
            self.assertIsInstance(await scene.send(tlsOptional=True), Delivered)
            scene = self.scene(protection, answers={"STARTTLS": BROKEN_TLS})
            self.assertIsInstance(await scene.send(tlsOptional=True), Delivered)

    async def test_rfc8689_4_3_lookups(self) -> None:
        """
        It gets through where that cannot be looked up, or would lead elsewhere.
        """
        scene = self.scene(DANE)
        scene.zones.zones[f"_{scene.server.port}._tcp.{MX}"] = Fault.SERVFAIL
        self.assertIsInstance(await scene.send(tlsOptional=True), Delivered)
        scene = self.scene(ENFORCE)
        scene.policies.found[DOMAIN] = enforced("other.example")
        self.assertIsInstance(await scene.send(tlsOptional=True), Delivered)

    async def test_rfc8689_4_3_operator(self) -> None:
        """
        It does not where what the operator wants cannot be had.
        """
        encrypt = Protection("encrypt", TLSLevel.ENCRYPT)
        for protection in (VERIFY, DANE_ONLY):
            scene = self.scene(protection, shows=stranger())
            self.assertWaits(scene, await scene.send(tlsOptional=True))
        for protection in (VERIFY, DANE_ONLY, encrypt):
            scene = self.scene(protection, hasTLS=False)
            self.assertWaits(scene, await scene.send(tlsOptional=True))
