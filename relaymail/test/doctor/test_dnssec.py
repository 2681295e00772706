"""
Tests for L{relaymail.doctor.dnssec}.
"""

from __future__ import annotations

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from relaymail.doctor.answers import Verdict
from relaymail.doctor.dnssec import checkDNSSEC
from relaymail.doctor.questions import Asker, Server

#: The flags of an answer (RFC 1035 4.1.1): with AD, without, and SERVFAIL.
SECURE, INSECURE, FAILED = b"\x81\xa0", b"\x81\x80", b"\x81\x82"


class CheckTests(SynchronousTestCase):
    """
    L{checkDNSSEC} asks for the root zone.
    """

    def look(
        self, address: str, flags: bytes, trusted: tuple[str, ...] = ()
    ) -> list[tuple[Verdict, str, str]]:
        """
        Look at one server, which answers with these flags.
        """

        def exchange(server: Server, question: bytes, wait: float) -> bytes:
            # AD and RD are set, and the name is empty.
            self.assertEqual(question[2:4], b"\x01\x20")
            self.assertEqual(question[12:17], b"\0\0\x02\0\x01")
            return question[:2] + flags + question[4:]

        asker = Asker((address, 53), exchange)
        networks = map(ip_network, trusted)
        return [
            (answer.verdict, answer.found, answer.remedy)
            for answer in checkDNSSEC([asker], networks)
        ]

    def test_D01_servers(self) -> None:
        """
        A server is well that may be believed and validates; else it is said what to
        do.
        """
        for address, flags, trusted, verdict, found, remedy in (
            ("127.0.0.1", SECURE, (), Verdict.OK, "validates", ""),
            ("192.0.2.53", SECURE, ("192.0.2.0/24",), Verdict.OK, "validates", ""),
            ("127.0.0.1", INSECURE, (), Verdict.FAILURE, "no AD", "unbound"),
            ("192.0.2.53", SECURE, (), Verdict.FAILURE, "neither", "trusted-resolvers"),
            ("127.0.0.1", FAILED, (), Verdict.FAILURE, "SERVFAIL", "clock"),
        ):
            ((how, told, do),) = self.look(address, flags, trusted)
            self.assertIs(how, verdict, address)
            self.assertIn(found, told)
            self.assertIn(f"{address}:53", told)
            self.assertIn(remedy, do)

    def test_D01_noAnswer(self) -> None:
        """
        One that does not answer, or none at all.
        """

        def silence(server: Server, question: bytes, wait: float) -> bytes:
            raise TimeoutError

        (answer,) = checkDNSSEC([Asker(("127.0.0.1", 53), silence)])
        self.assertIs(answer.verdict, Verdict.FAILURE)
        self.assertIn("nothing came back", answer.found)
        (answer,) = checkDNSSEC([])
        self.assertIn("no name server", answer.found)
