# -*- test-case-name: relaymail.test.doctor.test_network -*-
"""
Tests for L{relaymail.doctor.network}.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from relaymail.doctor.answers import Answer, Verdict
from relaymail.doctor.network import Network
from relaymail.doctor.questions import Asker
from relaymail.test.doctor.test_questions import FakeDNS, asker

OWN = "9.9.9.9"
ZONES: dict[tuple[str, int], list[Any]] = {
    ("big.example", dns.MX): [dns.Record_MX(5, "mx.big.example")],
    ("mx.big.example", dns.A): [dns.Record_A("8.8.8.8"), dns.Record_A("8.8.4.4")],
    ("9.9.9.9.in-addr.arpa", dns.PTR): [dns.Record_PTR("relay.example")],
    ("relay.example", dns.A): [dns.Record_A(OWN)],
    ("other.example", dns.A): [dns.Record_A(OWN)],
    ("away.example", dns.A): [dns.Record_A("9.9.9.10")],
}


class NetworkTestCase(SynchronousTestCase):
    """
    A network that is a table.
    """

    def make(self, **more: Any) -> Network:
        """
        Make one where all is well.
        """
        usual: dict[str, Any] = {
            "askers": [asker(FakeDNS(ZONES))],
            "hostname": "relay.example",
            "domain": "big.example",
            "greet": lambda address, port, wait: b"220 mx.big.example ESMTP\r\n",
            "ownAddress": lambda towards: OWN,
        }
        return Network(**{**usual, **more})

    def without(self, name: str, kind: int) -> list[Asker]:
        """
        Give a name server that does not know something.
        """
        known = {key: value for key, value in ZONES.items() if key != (name, kind)}
        return [asker(FakeDNS(known))]

    def assertAnswer(
        self, found: Iterable[Answer], verdict: Verdict, *words: str
    ) -> None:
        """
        There is one answer.
        """
        (answer,) = found
        self.assertIs(answer.verdict, verdict, answer)
        for word in words:
            self.assertIn(word, answer.found)
        self.assertEqual(bool(answer.remedy), verdict is not Verdict.OK)


class ResolverTests(NetworkTestCase):
    """
    Tests for the name servers.
    """

    def test_answers(self) -> None:
        """
        One that answers is well.
        """
        self.assertAnswer(
            self.make().checkResolver(), Verdict.OK, "192.0.2.53:53 answered within 0"
        )

    def test_none(self) -> None:
        """
        That there is none is a failure.
        """
        network = self.make(askers=[])
        self.assertAnswer(network.checkResolver(), Verdict.FAILURE, "no name server")

    def test_D01_silent(self) -> None:
        """
        One that is silent is a failure.
        """

        def silent(*_: object) -> bytes:
            raise TimeoutError

        network = self.make(askers=[Asker(("192.0.2.53", 53), silent)])
        self.assertAnswer(network.checkResolver(), Verdict.FAILURE, "nothing came back")

    def test_D01_serverFailure(self) -> None:
        """
        One that cannot find out is a failure, and what it said is told.
        """
        network = self.make(askers=[asker(FakeDNS(code=2))])
        self.assertAnswer(network.checkResolver(), Verdict.FAILURE, "SERVFAIL")

    def test_slow(self) -> None:
        """
        One that is slow is told of.
        """
        times = iter((0.0, 2.5))
        slow = Asker(("192.0.2.53", 53), FakeDNS(ZONES), lambda: next(times))
        network = self.make(askers=[slow])
        self.assertAnswer(network.checkResolver(), Verdict.WARNING, "took 2500 ms")

    def test_checks(self) -> None:
        """
        With smart hosts the port and the names of this machine do not matter.
        """
        names = [check.name for check in self.make().checks(isDirect=True)]
        self.assertEqual(names, ["resolver", "port 25", "names"])
        network = self.make(host="relay.example")
        names = [check.name for check in network.checks(isDirect=False)]
        self.assertEqual(names, ["resolver"])
        self.assertAnswer(network.checkResolver(), Verdict.OK, "answered")
        network = self.make(host="nobody.example")
        found = network.checkResolver()
        self.assertAnswer(found, Verdict.FAILURE, "A of nobody.example: NXDOMAIN")
        self.assertEqual(self.make().checks(isDirect=False), [])


class PortTests(NetworkTestCase):
    """
    Tests for the port of mail.
    """

    def test_open(self) -> None:
        """
        A host that greets is well.
        """
        found = self.make().checkPort()
        self.assertAnswer(found, Verdict.OK, "8.8.8.8 port 25", "220 mx.big.example")

    def test_blocked(self) -> None:
        """
        Where no host can be reached, it is said which were tried, what came back,
        and that providers block the port.
        """

        def greet(address: str, port: int, wait: float) -> bytes:
            if address == "8.8.8.8":
                raise TimeoutError("timed out")
            raise ConnectionRefusedError(111, "Connection refused")

        (answer,) = self.make(greet=greet).checkPort()
        self.assertIs(answer.verdict, Verdict.FAILURE)
        self.assertIn("8.8.8.8: no answer; 8.8.4.4: Connection refused", answer.found)
        self.assertIn("smart host", answer.remedy)

    def test_next(self) -> None:
        """
        Where one cannot be reached another may be.
        """

        def greet(address: str, port: int, wait: float) -> bytes:
            if address == "8.8.8.8":
                raise TimeoutError
            return b"220 hello\r\n"

        self.assertAnswer(self.make(greet=greet).checkPort(), Verdict.OK, "8.8.4.4")

    def test_refused(self) -> None:
        """
        A host that greets with something else is told of.
        """
        network = self.make(greet=lambda *_: b"554 5.7.1 blocked\r\n")
        self.assertAnswer(network.checkPort(), Verdict.WARNING, "554 5.7.1 blocked")

    def test_noHost(self) -> None:
        """
        Where no host is known none is tried.
        """
        network = self.make(domain="nobody.example")
        self.assertAnswer(network.checkPort(), Verdict.FAILURE, "has an address")


class NamesTests(NetworkTestCase):
    """
    Tests for what this machine is called.
    """

    def test_agree(self) -> None:
        """
        An address whose name leads back, and is the relay's, is well.
        """
        self.assertAnswer(self.make().checkNames(), Verdict.OK, "there and back")

    def test_noName(self) -> None:
        """
        An address without a name is a failure.
        """
        network = self.make(askers=self.without("9.9.9.9.in-addr.arpa", dns.PTR))
        self.assertAnswer(network.checkNames(), Verdict.FAILURE, "no PTR record")

    def test_notBack(self) -> None:
        """
        A name that does not lead back is a failure.
        """
        network = self.make(askers=self.without("relay.example", dns.A))
        found = network.checkNames()
        self.assertAnswer(found, Verdict.FAILURE, "that name has another address")

    def test_otherName(self) -> None:
        """
        A relay that calls itself by another name of its address is told of.
        """
        network = self.make(hostname="other.example")
        self.assertAnswer(network.checkNames(), Verdict.WARNING, "other.example")

    def test_foreignName(self) -> None:
        """
        A relay that calls itself by the name of another machine is a failure.
        """
        network = self.make(hostname="away.example")
        self.assertAnswer(network.checkNames(), Verdict.FAILURE, "whose address is not")

    def test_localName(self) -> None:
        """
        A name that is none in DNS is a failure.
        """
        for name in ("localhost.localdomain", "mail"):
            network = self.make(hostname=name)
            self.assertAnswer(network.checkNames(), Verdict.FAILURE, "no name in DNS")

    def test_private(self) -> None:
        """
        Of an address that others do not see nothing can be said, unless the other
        one is given.
        """
        network = self.make(ownAddress=lambda towards: "10.0.0.7")
        self.assertAnswer(network.checkNames(), Verdict.WARNING, "10.0.0.7")
        network = self.make(ownAddress=lambda towards: "10.0.0.7", address=OWN)
        self.assertAnswer(network.checkNames(), Verdict.OK, OWN)
