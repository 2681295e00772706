"""
What becomes of mail, whatever the DNS says of its destination: the real relay asks over
a network in memory.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.inspection import Selection
from relaymail.route.resolver import FAILURE_TTL
from relaymail.testing.dns import Fault, Special, Wire
from relaymail.testing.world import World

SENDER = "a@example.com"
#: A host that takes mail, and one that takes what is sent to all others.
GOOD, OTHER = "192.0.2.25", "192.0.2.26"
#: For how long all lookups of an attempt may take, and more, in seconds.
ATTEMPT = 150

#: What becomes of mail: it is delivered; it is late, or it failed, with this status.
DELIVERED = ""

_MX = {"MX": [(10, "mx.good.example")]}


class _Stories(SynchronousTestCase):
    """
    Sends to domains, each with its own DNS.
    """

    def setUp(self) -> None:
        """
        Make a world with a host that takes mail.
        """
        self.world = World(seed=7)
        self.addCleanup(self.world.stop)
        self.mx = self.world.host(GOOD)
        self.world.zones["mx.good.example"] = {"A": [GOOD]}

    def status(self, to: str) -> str | None:
        """
        Say what became of the mail for an address: the status of what was queued again
        or bounced; nothing where it was delivered.
        """
        if any(to in message.recipients for message in self.mx.received):
            return DELIVERED
        asked = self.world.relay.queue.look(Selection(recipient=to))
        self.world.run(1)
        for entry in self.successResultOf(asked).entries:
            return str(entry.status)
        for message in self.world.home.received:
            text = message.content.decode("utf-8", "replace")
            if f"Final-Recipient: rfc822; {to}" in text:
                return text.partition("\nStatus: ")[2].split("\r\n")[0]
        return None

    def check(self, *rows: tuple[str, Any, str]) -> None:
        """
        Send to each domain, and see what becomes of it.

        @param rows: Domains, what is said of each, and the status.
        """
        for domain, entry, _ in rows:
            if entry is not None:
                self.world.zones[domain] = entry
            self.world.send(SENDER, f"b@{domain}")
        self.world.run(ATTEMPT)
        for domain, _, status in rows:
            self.assertEqual(self.status(f"b@{domain}"), status, domain)
        self.world.assertNothingLost()


class D01Tests(_Stories):
    """
    D01: what the DNS says, and says not.
    """

    def test_D01_answers(self) -> None:
        """
        No such domain, none that takes mail, and no MX records.
        """
        self.check(
            ("good.example", _MX, DELIVERED),
            ("missing.example", None, "5.1.2"),
            ("empty.example", {"TXT": [b"x"]}, "5.1.2"),
            ("null.example", {"MX": [(0, "")]}, "5.1.10"),
            ("implicit.example", {"A": [GOOD]}, DELIVERED),
            ("implicit6.example", {"AAAA": ["2001:db8::25"]}, "4.4.1"),
        )

    def test_D01_failures(self) -> None:
        """
        What is no answer is never one: the mail waits.
        """
        self.check(
            ("servfail.example", Fault.SERVFAIL, "4.4.3"),
            ("refused.example", Fault.REFUSED, "4.4.3"),
            ("notimp.example", Fault.NOT_IMPLEMENTED, "4.4.3"),
            ("silent.example", Fault.SILENCE, "4.4.3"),
            ("bogus.example", Special(_MX, isBogus=True), "4.4.3"),
            ("late.example", Special(_MX, late=1.9), DELIVERED),
            ("verylate.example", Special(_MX, late=60), "4.4.3"),
            # Nothing is known of an address for the implicit MX.
            ("half.example", {"A": Fault.SERVFAIL}, "4.4.3"),
        )

    def test_D01_recovers(self) -> None:
        """
        Once the DNS answers again the mail goes.
        """
        self.check(("servfail.example", Fault.SERVFAIL, "4.4.3"))
        self.world.zones["servfail.example"] = _MX
        self.world.run(3600)
        self.assertEqual(self.status("b@servfail.example"), DELIVERED)

    def test_D01_serverDown(self) -> None:
        """
        While the name server is down mail waits.
        """
        machine = self.world.network.machine("198.51.100.53")
        machine.kill()
        self.check(("good.example", _MX, "4.4.3"))


class A07Tests(_Stories):
    """
    A07: a DNS that is odd, or means ill.
    """

    def test_A07_aliases(self) -> None:
        """
        Loops and chains without end are no answer; a chain of ordinary length is.
        """
        zones = self.world.zones
        for i in range(100):
            zones[f"c{i}.chain.example"] = {"CNAME": [f"c{i + 1}.chain.example"]}
        zones["c100.chain.example"] = _MX
        zones["b.loop.example"] = {"CNAME": ["a.loop.example"]}
        self.check(
            ("a.loop.example", {"CNAME": ["b.loop.example"]}, "4.4.3"),
            ("self.loop.example", {"CNAME": ["self.loop.example"]}, "4.4.3"),
            ("c0.chain.example", None, "4.4.3"),
            ("c90.chain.example", None, DELIVERED),
            ("nowhere.chain.example", {"CNAME": ["missing.example"]}, "5.1.2"),
        )

    def test_A07_aliasesOfHosts(self) -> None:
        """
        The same of the names of hosts: the next host gets the mail, if there is one.
        """
        zones = self.world.zones
        zones["loop.host.example"] = {"CNAME": ["loop.host.example"]}
        zones["alias.host.example"] = {"CNAME": ["mx.good.example"]}
        self.check(
            ("alias.example", {"MX": [(1, "alias.host.example")]}, DELIVERED),
            ("loop.example", {"MX": [(1, "loop.host.example")]}, "4.4.3"),
            (
                "next.example",
                {"MX": [(1, "loop.host.example"), (2, "mx.good.example")]},
                DELIVERED,
            ),
        )

    def test_A07_odd(self) -> None:
        """
        Hosts that are none: an address, this machine, nothing, one without address.
        Another host gets the mail, or it is as if the domain could not be delivered to.
        """
        good = (20, "mx.good.example")
        hosts = {
            "literal": "127.0.0.1",
            "localhost": "localhost",
            "null": "",
            "missing": "missing.example",
        }
        alone = {"literal": "5.4.4", "localhost": "5.4.4"}
        alone |= {"null": "5.1.10", "missing": "5.1.2"}
        self.check(
            *(
                (f"{key}.beside.example", {"MX": [(10, host), good]}, DELIVERED)
                for key, host in hosts.items()
            ),
            *(
                (f"{key}.alone.example", {"MX": [(10, host)]}, alone[key])
                for key, host in hosts.items()
            ),
        )

    def test_A07_besideGoodAnswers(self) -> None:
        """
        SERVFAIL for one family beside addresses of the other; for one host beside
        another one.
        """
        zones = self.world.zones
        zones["half.host.example"] = {"A": [GOOD], "AAAA": Fault.SERVFAIL}
        zones["broken.host.example"] = Fault.SERVFAIL
        self.check(
            ("half.example", {"MX": [(1, "half.host.example")]}, DELIVERED),
            (
                "next.example",
                {"MX": [(1, "broken.host.example"), (2, "mx.good.example")]},
                DELIVERED,
            ),
            ("broken.example", {"MX": [(1, "broken.host.example")]}, "4.4.3"),
            # That a host is missing is no reason while another one is not known.
            (
                "both.example",
                {"MX": [(1, "missing.example"), (2, "broken.host.example")]},
                "4.4.3",
            ),
        )

    def test_A07_thousands(self) -> None:
        """
        Of hundreds of hosts and addresses some are tried, in bounded time; thousands
        are no answer.
        """
        records = [(i % 7, f"h{i}.many.example") for i in range(4000)]
        addresses = [GOOD, *(f"203.0.113.{i % 250}" for i in range(500))]
        self.world.zones["big.host.example"] = {"A": addresses}
        self.check(
            ("many.example", {"MX": records[:400]}, "5.1.2"),
            # This does not go into any message.
            ("toomany.example", {"MX": records}, "4.4.3"),
            ("big.example", {"MX": [(1, "big.host.example")]}, DELIVERED),
        )
        asked = {name for name, _ in self.world.dns.asked}
        hosts = [name for name in asked if re.fullmatch(r"h\d+\.many\.example", name)]
        self.assertLessEqual(len(hosts), 20)

    def test_A07_times(self) -> None:
        """
        A time to live of 0, of 2^31 and of all bits: the answer holds for this question
        only, and the mail goes.
        """
        for ttl in (0, 2**31, 2**32 - 1):
            domain = f"ttl{ttl}.example"
            for count in (1, 2):
                self.check((domain, Special(_MX, ttl=ttl), DELIVERED))
                self.world.run(60)
                asked = self.world.dns.asked.count((domain, "MX"))
                self.assertEqual(asked, count, ttl)

    def test_A07_wire(self) -> None:
        """
        Truncated answers are asked for over TCP; wrong numbers, other questions and
        what is no message are no answers.
        """
        self.check(
            ("cut.example", Special(_MX, wire=Wire.TRUNCATED), DELIVERED),
            ("twice.example", Special(_MX, wire=Wire.CUT), "4.4.3"),
            ("number.example", Special(_MX, wire=Wire.WRONG_ID), "4.4.3"),
            ("question.example", Special(_MX, wire=Wire.WRONG_NAME), "4.4.3"),
            ("torn.example", Special(_MX, wire=Wire.MALFORMED), "4.4.3"),
        )

    def test_A07_bounded(self) -> None:
        """
        A burst to a domain whose DNS is broken makes few questions.
        """
        self.world.zones["broken.example"] = Fault.SERVFAIL
        for number in range(50):
            self.world.send(SENDER, f"b{number}@broken.example")
        self.world.run(FAILURE_TTL - 1)
        self.assertLess(len(self.world.dns.asked), 5)
