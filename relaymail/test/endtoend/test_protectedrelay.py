# -*- test-case-name: relaymail.test.endtoend.test_protectedrelay -*-
"""
A whole relay, told by its options how mail is to be protected: from the client that
gives it a message to a host that is, or is not, what its domain says.
"""

from __future__ import annotations

from typing import Any

from relaymail.service import Relay
from relaymail.test.endtoend.harness import MESSAGE, RECIPIENT, SENDER, submit
from relaymail.test.endtoend.processes import until
from relaymail.test.endtoend.test_sts import DOMAIN, STSTestCase
from relaymail.testing.certificates import Throwaway, ThrowawayCA
from relaymail.testing.servers import SMTPServer

MX = f"mx.{DOMAIN}"
#: RFC 8689 4.3.
NOT_REQUIRED = b"TLS-Required: No\r\n" + MESSAGE


class ProtectedTests(STSTestCase):
    """
    A relay, the host of a domain, its name server and its policy.
    """

    def host(self, shown: Throwaway, *tlsa: Any) -> SMTPServer:
        """
        Start the host.

        @param shown: Its certificate.
        @param tlsa: Its TLSA records.
        """
        server = self.startServer(contextFactory=shown.contextFactory)
        self.dns.zones.zones |= {
            DOMAIN: {"MX": [(10, MX)]},
            MX: {"A": ["127.0.0.1"]},
            f"_{server.port}._tcp.{MX}": {"TLSA": list(tlsa)},
        }
        return server

    def relayTo(self, server: SMTPServer, **settings: Any) -> Relay:
        """
        Start a relay that trusts the authority.
        """
        caFile = self.authority.write(self.directory)
        return self.relay(mxPort=server.port, caFile=caFile, **settings)

    def lines(self, words: str) -> list[str]:
        """
        Give the lines of the log that begin with some words.
        """
        return [line for line in self.logged() if line.startswith(words)]

    async def arrives(self, server: SMTPServer, **settings: Any) -> None:
        """
        Check that a message arrives over TLS.
        """
        relay = self.relayTo(server, **settings)
        await submit(self.portOf(relay))
        (received,) = await server.whenReceived(1)
        self.assertTrue(received.session.isTLS)
        self.assertContents([received])

    async def waits(self, server: SMTPServer, words: str, **settings: Any) -> Relay:
        """
        Check that a message waits, and that the host did not get so much as MAIL.
        """
        relay = self.relayTo(server, **settings)
        await submit(self.portOf(relay))
        await until(lambda: self.lines("retry id="), "it was tried")
        (line,) = self.lines("retry id=")
        self.assertIn(words, line)
        said = [line for each in server.sessions for line in each.commands]
        self.assertEqual([line for line in said if line.startswith("MAIL")], [])
        return relay

    async def test_rfc8461_enforced(self) -> None:
        """
        A policy is found, and the host is what it says.
        """
        await self.arrives(self.host(self.authority.issue(MX)))
        self.assertEqual(len(self.web.asked), 1)

    async def test_rfc8461_wrongCertificate(self) -> None:
        """
        A policy is found, and the host shows a certificate that nobody vouches for:
        mail waits, but not mail for which TLS is not required.
        """
        server = self.host(ThrowawayCA("Stranger").issue(MX))
        relay = await self.waits(server, "does not trust")
        await submit(self.portOf(relay), SENDER, (RECIPIENT,), NOT_REQUIRED)
        (received,) = await server.whenReceived(1)
        self.assertIn(b"TLS-Required: No", received.content)

    async def test_rfc8461_otherHost(self) -> None:
        """
        A policy is found, and does not name the host.
        """
        self.publish("mx.elsewhere.example")
        server = self.host(self.authority.issue(MX))
        await self.waits(server, f"{MX} is none of the hosts")
        self.assertEqual(server.sessions, [])

    async def test_rfc8461_off(self) -> None:
        """
        Whoever does not want policies looked up has none looked up.
        """
        server = self.host(ThrowawayCA("Stranger").issue(MX))
        await self.arrives(server, mtaSts=False)
        self.assertEqual(self.web.asked, [])

    async def test_rfc7672_dane(self) -> None:
        """
        The host has the certificate that its TLSA record names, and nobody else needs
        to vouch for it.
        """
        shown = ThrowawayCA("Stranger").issue("anything.example")
        server = self.host(shown, shown.tlsa(3, 1, 1))
        self.dns.zones.signed.add(DOMAIN)
        await self.arrives(server, tls="dane")

    async def test_rfc7672_wrongCertificate(self) -> None:
        """
        The host has another one, for which the policy of MTA-STS would be content.
        """
        shown, other = (self.authority.issue(MX) for _ in range(2))
        server = self.host(shown, other.tlsa(3, 1, 1))
        self.dns.zones.signed.add(DOMAIN)
        await self.waits(server, "TLSA records name none", tls="dane")

    async def test_verify(self) -> None:
        """
        The operator wants to know the host, and knows it by its name or not.
        """
        await self.arrives(self.host(self.authority.issue(MX)), tls="verify")

    async def test_verifyStranger(self) -> None:
        """
        Neither the DNS nor a policy says for certain that it is that of the domain.
        """
        server = self.host(self.authority.issue("mx.elsewhere.example"))
        self.dns.zones.zones |= {
            DOMAIN: {"MX": [(10, "mx.elsewhere.example")]},
            "mx.elsewhere.example": {"A": ["127.0.0.1"]},
        }
        await self.waits(server, "nobody vouches for", tls="verify", mtaSts=False)
        self.assertEqual(server.sessions, [])
