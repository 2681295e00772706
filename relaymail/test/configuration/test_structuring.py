# -*- test-case-name: relaymail.test.configuration.test_structuring -*-
"""
Tests for L{relaymail.configuration.structuring}.
"""

from __future__ import annotations

import os
import re
from ipaddress import ip_network
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.configuration import configure, values
from relaymail.configuration.describing import flagOf
from relaymail.configuration.kinds import KINDS
from relaymail.configuration.tables import OPTIONS
from relaymail.errors import ConfigurationError
from relaymail.route.hosts import Host
from relaymail.schedule.rates import Rate


class ConfigureTests(SynchronousTestCase):
    """
    Tests for L{configure}.
    """

    def test_words(self) -> None:
        """
        Settings are read from the words a person writes.
        """
        told = configure(
            queue="spool",
            hostname="relay.example.com",
            smtp="tcp:25",
            smartHosts=["one.example.com", Host("two.example.com", 26)],
            retry="1m,2h",
            expire="2d",
            destinationRates=["Example.ORG=100/m", ("example.net", Rate(1, 1))],
            maxMessageSize="50M",
            senderRates="News@Example.com=1000/h",
            networks="192.0.2.0/24, ::1",
            allowDestinations=["10.0.0.0/8", "127.0.0.1"],
        )
        self.assertEqual(told.queue.path, os.path.abspath("spool/queue.db"))
        self.assertEqual(told.intake.smtp, ("tcp:25",))
        self.assertEqual(
            [(h.name, h.port) for h in told.delivery.smartHosts],
            [("one.example.com", 25), ("two.example.com", 26)],
        )
        self.assertEqual(told.delivery.retry, (60, 7200))
        self.assertEqual(told.delivery.expire, 2 * 86400)
        self.assertEqual(
            told.delivery.destinationRates,
            (("example.org", Rate(100, 60)), ("example.net", Rate(1, 1))),
        )
        self.assertEqual(told.intake.maxMessageSize, 50 * 1024 * 1024)
        self.assertEqual(
            told.delivery.senderRates, (("news@example.com", Rate(1000, 3600)),)
        )
        self.assertEqual(
            told.intake.networks, (ip_network("192.0.2.0/24"), ip_network("::1/128"))
        )
        self.assertEqual(
            told.delivery.allowDestinations,
            (ip_network("10.0.0.0/8"), ip_network("127.0.0.1/32")),
        )

    def test_unknownSetting(self) -> None:
        """
        A setting that does not exist is an error.
        """
        self.assertRaises(
            TypeError, configure, queue="spool", hostname="a.example", nonsense=1
        )

    def test_missingFile(self) -> None:
        """
        A key that is not there is told of.
        """
        error = self.assertRaises(
            ConfigurationError, configure, queue="spool", tlsKey="nowhere.pem"
        )
        self.assertEqual(str(error), "tlsKey: 'nowhere.pem' is not a file")

    def test_nearest(self) -> None:
        """
        A mistyped setting is told of with the one that may be meant.
        """
        error = self.assertRaises(TypeError, configure, queue="spool", maxConnection=1)
        self.assertIn("did you mean maxConnections?", str(error))

    def test_noQueue(self) -> None:
        """
        A program names the queue.
        """
        self.assertRaises(TypeError, configure, hostname="a.example")

    def test_allProblems(self) -> None:
        """
        Everything that is wrong is told at once, with the setting it is in.
        """
        wrong: dict[str, Any] = {
            "mxPort": "smtp",
            "retry": [60, 0],
            "networks": ["::1", b"x"],
            "aliases": ["root"],
            "rewriteSenders": {"a": "b@c.example"},
            "senderRates": [("*", 5)],
            "origins": "https://a.example/page",
            "hosts": "a b",
            "origin": "[192.0.2.1]",
            "tokenEnv": "A=B",
        }
        error = self.assertRaises(ConfigurationError, configure, queue="spool", **wrong)
        self.assertEqual(
            sorted(re.split(r"[\[.:]", line)[0] for line in str(error).split("\n")),
            sorted(wrong),
        )

    def test_withinRoutes(self) -> None:
        """
        Of several routes it is told which one is wrong, and in which key.
        """
        routes = ["to=a.example via=mx", "to=b.example via=a.example tls=verify"]
        error = self.assertRaises(
            ConfigurationError, configure, queue="spool", routes=routes
        )
        self.assertTrue(str(error).startswith("routes[1].tls: it is for"), error)

    def test_twice(self) -> None:
        """
        Nothing is said twice in a table.
        """
        error = self.assertRaises(
            ConfigurationError,
            configure,
            queue="spool",
            destinationRates=["A.example=5/s", "a.example=6/s"],
        )
        self.assertIn("'a.example' stands there twice", str(error))

    def test_ratedAddress(self) -> None:
        """
        A rate of a destination is of a domain: one of an address would limit
        nothing.
        """
        rates = {"news@example.com": "5/s"}
        configure(queue="spool", senderRates=rates)
        error = self.assertRaises(
            ConfigurationError, configure, queue="spool", destinationRates=rates
        )
        self.assertIn("write a domain", str(error))

    def test_kinds(self) -> None:
        """
        Every kind of values is that of an option, and has words for its flag.
        """
        self.assertEqual({one.said.kind for one in OPTIONS}, set(KINDS))
        for one in OPTIONS:
            self.assertNotIn(" VALUE", flagOf(one))

    def test_many(self) -> None:
        """
        There are bounds for how much is taken, and how much is told of.
        """
        self.assertEqual(values.MAX_VALUES, 10_000)
        self.patch(values, "MAX_VALUES", 100)
        networks = ["192.0.2.1"] * (values.MAX_VALUES + 1)
        rates = dict.fromkeys(map(str, range(values.MAX_VALUES + 1)), "1/s")
        for name, value in (("networks", networks), ("destinationRates", rates)):
            error = self.assertRaises(
                ConfigurationError, configure, queue="spool", **{name: value}
            )
            self.assertIn("more than 100 values", str(error))
        error = self.assertRaises(
            ConfigurationError, configure, queue="spool", networks=["x"] * 60
        )
        self.assertEqual(str(error).split("\n")[50:], ["and 10 more problems"])

    def test_aliases(self) -> None:
        """
        An alias may have several addresses in one text.
        """
        told = configure(
            queue="s", aliases=["root=a@b.example, ops", "ops=c@d.example"]
        )
        self.assertEqual(
            told.machines.aliases,
            (("root", ("a@b.example", "ops")), ("ops", ("c@d.example",))),
        )

    def test_empty(self) -> None:
        """
        Empty text is nothing where nothing may be said.
        """
        told = configure(queue="s", drop="", endpoint="", socket="", origin="")
        self.assertEqual(told, configure(queue="s"))

    def test_machines(self) -> None:
        """
        What is said of mail of machines is tried as a whole, too.
        """
        for said, told in (
            ({"aliases": {"a": "b", "b": "a"}}, "go round in a loop"),
            ({"aliases": {"a": "nobody"}}, "no origin is configured"),
            (
                {
                    "rewriteSenders": {
                        "@a.example": "x@b.example",
                        "@b.example": "y@c.d",
                    }
                },
                "which another one changes",
            ),
            ({"rewriteSenders": {"@a.example": "nobody"}}, "which is no address"),
            ({"rewriteSenders": ["@a.example"]}, "is not a table of senders"),
        ):
            error = self.assertRaises(
                ConfigurationError, configure, queue="s", hostname="h.example", **said
            )
            self.assertIn(told, str(error))


class SenderHostsTests(SynchronousTestCase):
    """
    Smart hosts of senders.
    """

    def read(self, said: Any) -> list[tuple[str, list[str]]]:
        """
        Read who has which.
        """
        told = configure(queue="s", hostname="h.example", senderHosts=said)
        return [
            (sender, [host.name for host in hosts])
            for sender, hosts in told.delivery.senderHosts
        ]

    def refused(self, said: Any) -> str:
        """
        Give why it cannot be used.
        """
        return str(self.assertRaises(ConfigurationError, self.read, said))

    def test_forms(self) -> None:
        """
        One or several, as text, as a table, or as a program has them.
        """
        self.assertEqual(
            self.read(
                {
                    "Ann@Bücher.example": "one.example",
                    "@b.example": ["one.example", {"url": "smtps://two.example"}],
                    " @c.example": {"url": "lmtp+unix:///run/lmtp"},
                    "@d.example": (Host("three.example"),),
                }
            ),
            [
                ("ann@xn--bcher-kva.example", ["one.example"]),
                ("@b.example", ["one.example", "two.example"]),
                ("@c.example", ["/run/lmtp"]),
                ("@d.example", ["three.example"]),
            ],
        )
        self.assertEqual(
            self.read(["@b.example=one.example", "@B.example = two.example"]),
            [("@b.example", ["one.example", "two.example"])],
        )
        self.assertEqual(
            self.read("b@b.example=smtps://u@h.example?password-env=X&tls=verified"),
            [("b@b.example", ["h.example"])],
        )

    def test_refused(self) -> None:
        """
        What is no sender, or names no host, is told with what to write.
        """
        for said, words in (
            ({"example.org": "h.example"}, "write an address, or @example.com"),
            ({"*": "h.example"}, "those of everybody else are delivery.smart-hosts"),
            ({"a@-.-": "h.example"}, "does not say whose mail it is"),
            ({"*@a.example": "h.example"}, "or @example.com for all addresses"),
            ({"@a.example": []}, "no smart host is named for @a.example"),
            ({"@a.example": "http://x"}, "its scheme is none of"),
            ({"@a.example": 25}, "not a table of smart hosts by sender"),
            ({"@a.example": "h", "@A.example": "h"}, "stands there twice"),
            (["@a.example"], "not a table of smart hosts by sender"),
            (["a.example=h"], "does not say whose mail it is"),
        ):
            self.assertIn(words, self.refused(said), said)

    def test_A09_secretsAreNotTold(self) -> None:
        """
        A password that was written there is not in the message.
        """
        for said in (
            {"@a.example": "smtps://me:hush@h.example"},
            ["@a.example=smtps://me:hush@h.example"],
            ["hush"],
        ):
            self.assertNotIn("hush", self.refused(said))
