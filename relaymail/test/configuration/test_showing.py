# -*- test-case-name: relaymail.test.configuration.test_showing -*-
"""
Tests for L{relaymail.configuration.showing}.
"""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.configuration import Configuration, configure
from relaymail.configuration.showing import show, toToml
from relaymail.configuration.structuring import Layer, structure
from relaymail.configuration.tables import BY_ATTRIBUTE
from relaymail.route.hosts import Credentials, Host
from relaymail.route.levels import TLSLevel

_NAMES = st.sampled_from(["example.org", "b.example.com", "xn--bcher-kva.example"])
_ADDRESSES = st.builds("{}@to.example".format, st.text("abC.", min_size=1)).filter(
    lambda address: not address.startswith(".") and ".@" not in address
)
_ADDRESSES = _ADDRESSES.filter(lambda a: ".." not in a and len(a) < 60)
_LOCALS = st.text("abc", min_size=1, max_size=8)
_RATES = st.builds(
    "{}/{}{}".format,
    st.integers(1, 9999),
    st.integers(1, 99),
    st.sampled_from("smhd"),
)
_NETWORKS = st.lists(st.ip_addresses().map(str), max_size=3)
_DURATIONS = st.one_of(
    st.integers(1, 10**6),
    st.builds("{}{}".format, st.integers(1, 50), st.sampled_from("smhdw")),
    st.floats(0.5, 1000),
)
_HOSTS = st.one_of(
    _NAMES,
    st.builds("{}:{}".format, _NAMES, st.integers(1, 65535)),
    st.builds("smtps://me@{}?password-file=/etc/pw%26".__add__("").format, _NAMES),
    st.builds("smtp+starttls://{}?ca-file=/ca".format, _NAMES),
    st.builds("smtp://[2001:db8::1]:26?tls={}".format, st.sampled_from(["never"])),
    st.sampled_from(["lmtp://mail.example", "lmtp+unix:///run/a%20b"]),
    st.fixed_dictionaries(
        {
            "url": st.sampled_from(["smtp+starttls://mail.example"]),
            "user": st.just("robot@mail.example"),
            "oauth2": st.fixed_dictionaries(
                {
                    "provider": st.just("google"),
                    "client-id": st.text("ab-.", min_size=1, max_size=9),
                    "refresh-token-file": st.just("/etc/token"),
                },
                optional={"client-secret-env": st.just("SECRET")},
            ),
        }
    ),
    st.fixed_dictionaries(
        {
            "url": st.sampled_from(["mail.example", "smtps://mail.example:26"]),
            "user": st.text("ab@ \"\\'\u00fc", min_size=1, max_size=9),
            "password-command": st.text("ab \"\\'$#", min_size=1, max_size=9),
        },
        optional={"tls": st.sampled_from(["verified", "encrypted"])},
    ),
)

_PATTERNS = st.lists(_NAMES | _ADDRESSES | st.just("*"), min_size=1, max_size=2)
_CRITERIA: dict[str, Any] = {
    "to": _PATTERNS,
    "from": _ADDRESSES | st.just("<>"),
    "client": _NETWORKS.filter(bool),
    "user": st.text("ab ,\"'\u00fc", min_size=1).filter(str.strip),
}
_TERMS: dict[str, Any] = {
    "source": st.just(["192.0.2.1"]),
    "helo": _NAMES,
    "fallback": st.lists(_HOSTS, max_size=2),
}
_ROUTES = st.one_of(
    st.fixed_dictionaries(
        {"via": st.sampled_from(["refuse", "hold"])},
        optional={
            **_CRITERIA,
            "text": st.text("ab \"'\\", min_size=1).filter(str.strip),
        },
    ),
    st.fixed_dictionaries(
        {"via": st.lists(_HOSTS, min_size=1, max_size=2)},
        optional={**_CRITERIA, **_TERMS},
    ),
    st.fixed_dictionaries(
        {"tls": st.sampled_from([level.value for level in TLSLevel])},
        optional={**_CRITERIA, **_TERMS, "names": _NAMES.map(".{}".format)},
    ),
)

#: Values for some of the options.
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "hostname": _NAMES,
        "smtp": st.lists(st.just("tcp:25:interface=\\:\\:"), max_size=2),
        "networks": _NETWORKS,
        "maxMessageSize": st.integers(0, 2**40),
        "smartHosts": st.lists(_HOSTS, max_size=3),
        "senderHosts": st.dictionaries(
            st.one_of(_NAMES.map("@{0}".format), _ADDRESSES.map(str.lower)),
            st.one_of(_HOSTS, st.lists(_HOSTS, min_size=1, max_size=2)),
            max_size=2,
        ),
        "routes": st.lists(_ROUTES, max_size=3),
        "fallbackHosts": st.lists(_HOSTS, max_size=2),
        "tls": st.sampled_from([level.value for level in TLSLevel]),
        "source": st.sampled_from(["192.0.2.1", ["192.0.2.1", "2001:DB8::1"]]),
        "helo": _NAMES,
        "trustedResolvers": _NETWORKS,
        "mtaSts": st.sampled_from([True, False, "yes", "no"]),
        "tlsReportContact": _ADDRESSES,
        "dns": st.just("[2001:db8::53]:53"),
        "mxPort": st.integers(1, 65535),
        "retry": st.lists(_DURATIONS, min_size=1, max_size=4),
        "expire": _DURATIONS,
        "delayNotice": st.one_of(_DURATIONS, st.sampled_from([0, "0", "0h"])),
        "destinationRates": st.dictionaries(_NAMES, _RATES),
        "senderRates": st.dictionaries(st.just("*"), _RATES),
        "origin": _NAMES,
        "aliases": st.dictionaries(
            _LOCALS, st.lists(_ADDRESSES, min_size=1, max_size=3), max_size=3
        ),
        "rewriteSenders": st.dictionaries(
            _LOCALS.map("@{0}.internal".format), _ADDRESSES
        ),
        "drop": st.text('/ab \u00fc"\\\x1b\n', min_size=1, max_size=9),
        "tokenCommand": st.just('pass show "relay"'),
        "endpoint": st.just("tcp:8025"),
        "hosts": st.lists(_NAMES, max_size=2),
        "origins": st.just(["https://a.example"]),
    },
).filter(lambda said: "endpoint" not in said or "tokenCommand" in said)


def readBack(text: str) -> Configuration:
    """
    Read what was shown.
    """
    return structure([Layer(tomllib.loads(text), str)])


class ShowTests(SynchronousTestCase):
    """
    Tests for L{show}.
    """

    def test_nothing(self) -> None:
        """
        Of the defaults nothing is shown, or all of them on demand.
        """
        told = configure(queue="spool")
        self.assertEqual(show(told), "")
        everything = show(told, everything=True)
        self.assertIn("[delivery]\nsmart-hosts = []\n", everything)
        self.assertIn('retry = ["1m", "5m", "15m", "30m", "1h"]\n', everything)
        self.assertEqual(readBack(everything), told)

    def test_differences(self) -> None:
        """
        What differs is shown as it may be written.
        """
        told = configure(
            queue="directory:/mail",
            hostname="a.example",
            maxMessageSize=20 * 1024**2,
            smartHosts=["smtps://me@b.example?password-env=PW", "c.example"],
            senderRates={"*": "1/10m"},
        )
        self.assertEqual(
            show(told),
            'queue = "directory:/mail"\n'
            'hostname = "a.example"\n'
            "\n"
            "[intake]\n"
            'max-message-size = "20M"\n'
            "\n"
            "[delivery]\n"
            'smart-hosts = [{ url = "smtps://b.example:465", user = "me", '
            'password-env = "PW" }, "smtp://c.example:25"]\n'
            'sender-rates = { "*" = "1/10m" }\n',
        )
        self.assertEqual(readBack(show(told)), told)

    @given(SETTINGS)
    @settings(max_examples=100, deadline=None)
    def test_readBack(self, said: dict[str, Any]) -> None:
        """
        What is shown is the same when it is read back, whether all of it is shown
        or what differs from the defaults.
        """
        told = configure(queue="/mail", **said)
        for everything in (False, True):
            self.assertEqual(readBack(show(told, everything)), told)
        for name in said:
            self.assertIn(name, BY_ATTRIBUTE)

    def test_A09_secrets(self) -> None:
        """
        A secret that a program gave is not shown.
        """
        host = Host("a.example", 26, credentials=Credentials("me", b"hunter2"))
        shown = show(configure(queue="spool", smartHosts=[host]), everything=True)
        self.assertIn('user = "me"', shown)
        self.assertNotIn("hunter2", shown)


class TomlTests(SynchronousTestCase):
    """
    Tests for L{toToml}.
    """

    @given(
        st.recursive(
            st.one_of(
                st.text(st.characters(exclude_categories=["Cs"])),
                st.integers(-(2**63), 2**63),
                st.booleans(),
                st.floats(allow_nan=False, allow_infinity=False),
            ),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(
                    st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3
                ),
            ),
            max_leaves=8,
        )
    )
    @settings(max_examples=100, deadline=None)
    def test_values(self, value: object) -> None:
        """
        What is written is read as it was, and is one printable line.
        """
        text = toToml(value)
        self.assertEqual(tomllib.loads(f"a = {text}"), {"a": value})
        self.assertTrue(text.isprintable())

    def test_other(self) -> None:
        """
        What TOML does not have is a mistake of the program.
        """
        for value in (None, b"", float("nan")):
            self.assertRaises(TypeError, toToml, value)
