"""
Tests for L{relaymail.route.smarthosts}.
"""

from __future__ import annotations

from typing import Any, ClassVar

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import ConfigurationError
from relaymail.route.hosts import Bearer, Credentials, Host, TLSNeed
from relaymail.route.oauth2accounts import Flow, OAuth2
from relaymail.route.passwords import PasswordKind, PasswordSource
from relaymail.route.smarthosts import (
    MAX_PATH,
    SmartHost,
    parseSmartHost,
    parseSmartHostTable,
    showSmartHost,
    toHost,
)

SECRET = "s3cr3t-Pa55"
FILE = PasswordSource(PasswordKind.FILE, "/etc/pw")


class ParseTests(SynchronousTestCase):
    """
    L{parseSmartHost} reads what an operator writes.
    """

    def test_hostAndPort(self) -> None:
        """
        A host, with or without a port, is reached by SMTP, with TLS where it
        offers it.
        """
        for value, name, port in (
            ("mail.example", "mail.example", 25),
            ("Mail.Example.:2525", "mail.example", 2525),
            ("127.0.0.1:2526", "127.0.0.1", 2526),
            ("[2001:DB8::1]:26", "2001:db8::1", 26),
            ("[::1]", "::1", 25),
            ("smtp://mail.example", "mail.example", 25),
            ("smtp://mail.example:2525/", "mail.example", 2525),
            ("bücher.example", "xn--bcher-kva.example", 25),
        ):
            self.assertEqual(parseSmartHost(value), SmartHost(name, port), value)

    def test_startTLS(self) -> None:
        """
        C{smtp+starttls://} needs a certificate that is valid.
        """
        self.assertEqual(
            parseSmartHost("smtp+starttls://mail.example"),
            SmartHost("mail.example", 25, TLSNeed.VERIFIED),
        )

    def test_implicitTLS(self) -> None:
        """
        C{smtps://} begins with TLS, on its own port.
        """
        self.assertEqual(
            parseSmartHost("SMTPS://mail.example"),
            SmartHost("mail.example", 465, TLSNeed.VERIFIED, implicitTLS=True),
        )

    def test_user(self) -> None:
        """
        A user is percent-decoded and moves the port to submission's.
        """
        found = parseSmartHost(
            "smtp+starttls://me%40example.org@mail.example?password-file=/etc/pw"
        )
        self.assertEqual(found.user, "me@example.org")
        self.assertEqual(found.port, 587)
        self.assertEqual(found.password, FILE)
        self.assertIs(found.tls, TLSNeed.VERIFIED)
        self.assertFalse(found.authInClear)

    def test_A02_userNeedsValidCertificate(self) -> None:
        """
        A password goes over TLS that was verified unless the operator says
        what else will do.
        """
        base = "smtp://me@mail.example?password-env=PW"
        self.assertIs(parseSmartHost(base).tls, TLSNeed.VERIFIED)
        self.assertFalse(parseSmartHost(base).authInClear)
        weak = parseSmartHost(base + "&tls=encrypted")
        self.assertIs(weak.tls, TLSNeed.ENCRYPTED)
        clear = parseSmartHost(base + "&auth=clear")
        self.assertIs(clear.tls, TLSNeed.OFFERED)
        self.assertTrue(clear.authInClear)

    def test_settings(self) -> None:
        """
        The need and the trusted certificates can be set.
        """
        found = parseSmartHost("mail.example?tls=verified&ca-file=/etc/ca%20s.pem")
        self.assertIs(found.tls, TLSNeed.VERIFIED)
        self.assertEqual(found.caFile, "/etc/ca s.pem")
        for level, need in (
            ("none", "never"),
            ("opportunistic", "offered"),
            ("encrypt", "encrypted"),
            ("verify", "verified"),
        ):
            self.assertEqual(
                parseSmartHost(f"h.example?tls={level}"),
                parseSmartHost(f"h.example?tls={need}"),
            )
        parseSmartHost("lmtp+unix:///run/lmtp?tls=none")
        self.assertIs(parseSmartHost("h.example?tls=never").tls, TLSNeed.NEVER)
        own = "client-cert=/etc/own.pem&client-key=/etc/own%20key.pem"
        found = parseSmartHost(f"smtps://mail.example?{own}")
        self.assertEqual(found.certFile, "/etc/own.pem")
        self.assertEqual(found.keyFile, "/etc/own key.pem")
        host = toHost(found, lambda kind, where: b"")
        self.assertEqual((host.certFile, host.keyFile), (found.certFile, found.keyFile))

    def test_refused(self) -> None:
        """
        What cannot be used is one sentence that names it.
        """
        for value in (
            "",
            ":25",
            "mail.example:0",
            "mail.example:65536",
            "mail.example:smtp",
            "::1",
            "[::1",
            "http://mail.example",
            "smtp://mail.example/path",
            "smtp://mail.example#x",
            "mail example",
            "mail.example\n",
            "-bad-.example",
            "mail.example?tls=maybe",
            "mail.example?tls=never&tls=offered",
            "mail.example?colour=red",
            "mail.example?tls",
            "mail.example?tls=",
            "smtps://mail.example?tls=never",
            "smtp+starttls://mail.example?tls=offered",
            "mail.example?password-file=/etc/pw",
            "smtp://me@mail.example",
            "smtp://@mail.example?password-file=/etc/pw",
            "smtp://me@mail.example?password-file=/a&password-env=B",
            "smtp://me@mail.example?password-env=B&tls=never",
            "smtp://me@mail.example?password-env=B&auth=plain",
            "lmtp://mail.example/path",
            "lmtp://me@mail.example?password-env=B&tls=never",
            "lmtp+unix://run/lmtp",
            "lmtp+unix:///",
            "lmtp+unix:///run/a%0Ab",
            "lmtp+unix:///run/lmtp#x",
            "lmtp+unix:///run/lmtp?tls=verified",
            "lmtp+unix:///run/lmtp?tls=offered",
            "lmtp+unix:///run/lmtp?ca-file=/etc/ca.pem",
            "lmtp+unix:///run/lmtp?client-cert=/a&client-key=/b",
            "smtps://h.example?client-cert=/a",
            "smtps://h.example?client-key=/a",
            "h.example?tls=never&client-cert=/a&client-key=/b",
            "h.example?tls=dane",
            "lmtp+unix://me@/run/lmtp?password-env=B",
            f"lmtp+unix:///{'x' * MAX_PATH}",
        ):
            error = self.assertRaises(ConfigurationError, parseSmartHost, value)
            text = str(error)
            self.assertTrue(text.isprintable(), text)
            self.assertIn(" is not a smart host: ", text)

    def test_levelsOfDestinations(self) -> None:
        """
        The levels that are not for smart hosts are told of as that.
        """
        for level in ("dane", "dane-only"):
            error = self.assertRaises(
                ConfigurationError, parseSmartHost, f"smtp://a.example?tls={level}"
            )
            self.assertIn("for the hosts of destinations only", str(error))

    def test_A09_passwordInURL(self) -> None:
        """
        A password in the value is refused, and shown nowhere.
        """
        for value in (
            f"smtp://me:{SECRET}@mail.example",
            f"me:{SECRET}@mail.example",
            f"smtp://me:@{SECRET}@mail.example",
            f"smtp://me:x?{SECRET}@mail.example",
            f"smtp://me:x#{SECRET}@mail.example",
            f"smtp://me:x://{SECRET}@mail.example",
            f"smtp://me:[{SECRET}@mail.example",
            f"smtp://me@mail.example?password={SECRET}",
            f"smtp://me@mail.example?{SECRET}",
        ):
            error = self.assertRaises(ConfigurationError, parseSmartHost, value)
            self.assertNotIn(SECRET, str(error), value)
            self.assertIsNone(error.__cause__)
            self.assertNotIn(SECRET, str(error.__context__), value)

    @settings(deadline=None, max_examples=50)
    @given(st.text(max_size=40))
    def test_anything(self, value: str) -> None:
        """
        Whatever is written is a smart host or a configuration error.
        """
        try:
            found = parseSmartHost(value)
        except ConfigurationError:
            return
        self.assertTrue(found.path if found.port is None else 0 < found.port < 65536)


class LMTPTests(SynchronousTestCase):
    """
    L{parseSmartHost} reads where mail stores are.
    """

    def test_network(self) -> None:
        """
        A mail store on the network has a port of its own, and is otherwise as any
        smart host.
        """
        self.assertEqual(
            parseSmartHost("lmtp://store.example"),
            SmartHost("store.example", 24, lmtp=True),
        )
        self.assertEqual(parseSmartHost("lmtp://[::1]:2424").port, 2424)
        found = parseSmartHost("lmtp://me@store.example?password-env=PW")
        self.assertIs(found.tls, TLSNeed.VERIFIED)
        self.assertEqual(found.port, 24)

    def test_socket(self) -> None:
        """
        A socket has a path, no port, no TLS, and is called by its path.
        """
        self.assertEqual(
            parseSmartHost("lmtp+unix:///run/mail%20store/lmtp"),
            SmartHost(
                "/run/mail store/lmtp",
                None,
                TLSNeed.NEVER,
                lmtp=True,
                path="/run/mail store/lmtp",
            ),
        )
        longest = f"/{'x' * (MAX_PATH - 1)}"
        self.assertEqual(parseSmartHost(f"lmtp+unix://{longest}").path, longest)

    def test_wordsOfSockets(self) -> None:
        """
        What makes no sense of a socket is refused with the reason.
        """
        for value, words in (
            ("lmtp+unix:///run/lmtp?tls=verified", "no TLS over a socket"),
            ("lmtp+unix://me@/run/lmtp?password-env=B", "only with auth=clear"),
            ("lmtp+unix://host/run/lmtp", "write lmtp+unix:///PATH"),
        ):
            error = self.assertRaises(ConfigurationError, parseSmartHost, value)
            self.assertIn(words, str(error))


class TableTests(SynchronousTestCase):
    """
    L{parseSmartHostTable} reads a smart host whose settings stand beside its URL.
    """

    microsoft: ClassVar[dict[str, Any]] = {
        "url": "smtp+starttls://smtp.office365.com",
        "user": "robot@example.com",
        "oauth2": {
            "provider": "microsoft",
            "tenant": "example.com",
            "client-id": "4711",
            "client-secret-file": "/etc/secret",
        },
    }

    def test_oauth2(self) -> None:
        """
        Tokens stand for a password: they need a user and a valid certificate.
        """
        found = parseSmartHostTable(self.microsoft)
        self.assertEqual((found.user, found.port), ("robot@example.com", 587))
        self.assertIs(found.tls, TLSNeed.VERIFIED)
        self.assertIsNone(found.password)
        assert found.oauth2 is not None
        self.assertIs(found.oauth2.flow, Flow.CLIENT_CREDENTIALS)

    def test_socket(self) -> None:
        """
        A socket may stand in a table, too.
        """
        found = parseSmartHostTable({"url": "lmtp+unix:///run/lmtp"})
        self.assertEqual(found, parseSmartHost("lmtp+unix:///run/lmtp"))

    def test_refused(self) -> None:
        """
        What cannot be used is one sentence that says why.
        """
        for more, words in (
            ({"user": None}, "its user is empty"),
            ({"password-env": "PW"}, "a token stands for a password"),
            ({"oauth2": {}}, "one of provider"),
            ({"oauth2": "x"}, "oauth2 is a table"),
            ({"tls": "never"}, "contradicts"),
            ({"url": "smtp://h?tls=never"}, "stand beside the url"),
            ({"url": "smtp://me@h"}, "in the url and beside it"),
            ({"url": 25}, "needs its url"),
            ({"oauth": {}}, "did you mean oauth2?"),
        ):
            table = {**self.microsoft, **more}
            error = self.assertRaises(ConfigurationError, parseSmartHostTable, table)
            self.assertIn(words, str(error))
        without = {k: v for k, v in self.microsoft.items() if k != "user"}
        error = self.assertRaises(ConfigurationError, parseSmartHostTable, without)
        self.assertIn("write user", str(error))


class ShowTests(SynchronousTestCase):
    """
    L{showSmartHost} gives what is read as the same smart host.
    """

    def test_roundTrip(self) -> None:
        """
        Whatever was described is shown so that it is read as the same.
        """
        described = [
            parseSmartHost(value)
            for value in (
                "mail.example",
                "[::1]:26",
                "mail.example?tls=never",
                "smtp+starttls://mail.example?ca-file=/etc/ca.pem",
                "smtps://me@mail.example?password-file=/a%20b",
                "smtps://mail.example?client-cert=/a%20b&client-key=/c",
                "smtps://mail.example?tls=encrypted",
                "smtp://me@mail.example?password-env=PW&auth=clear",
                "smtp://me@mail.example?password-env=PW&auth=clear&tls=verified",
                "lmtp://store.example",
                "lmtp://me@store.example:26?password-command=x%20y",
                "lmtp+unix:///run/a%20b%3Fc",
                "lmtp+unix://me@/run/lmtp?password-env=PW&auth=clear",
            )
        ]
        for smart in [*described, parseSmartHostTable(TableTests.microsoft)]:
            shown = showSmartHost(smart)
            if isinstance(shown, str):
                self.assertEqual(parseSmartHost(shown), smart)
            else:
                self.assertEqual(parseSmartHostTable(shown), smart)

    def test_hosts(self) -> None:
        """
        A host that a program gave is shown as the same host, without its secret.
        """
        for host in (
            Host("mail.example", 26, TLSNeed.NEVER, named=True),
            Host("mail.example", named=True),
            Host("/run/lmtp", None, TLSNeed.NEVER, lmtp=True, path="/run/lmtp"),
        ):
            self.assertIn(host.name, str(showSmartHost(host)))
        tokens = Bearer("me", "account", None)  # type: ignore[arg-type]
        shown = showSmartHost(Host("h.example", credentials=tokens))
        self.assertEqual(
            shown, {"url": "smtp://h.example", "user": "me", "tls": "offered"}
        )


class ToHostTests(SynchronousTestCase):
    """
    L{toHost} puts the password in.
    """

    smart = SmartHost("mail.example", 587, TLSNeed.VERIFIED, user="me", password=FILE)

    def test_host(self) -> None:
        """
        The host is named by the operator and has the credentials; the line
        end of the file is not the password's.
        """
        asked = []

        def read(kind: PasswordKind, where: str) -> bytes:
            asked.append((kind, where))
            return SECRET.encode() + b"\r\n"

        self.assertEqual(
            toHost(self.smart, read),
            Host(
                "mail.example",
                587,
                TLSNeed.VERIFIED,
                credentials=Credentials("me", SECRET.encode()),
                named=True,
            ),
        )
        self.assertEqual(asked, [(PasswordKind.FILE, "/etc/pw")])

    def test_noUser(self) -> None:
        """
        Nothing is read where there is no user.
        """
        host = toHost(SmartHost("h.example", 25), lambda kind, where: self.fail())
        self.assertIsNone(host.credentials)

    def test_socket(self) -> None:
        """
        A socket's path and protocol are the host's.
        """
        host = toHost(parseSmartHost("lmtp+unix:///run/lmtp"), lambda kind, where: b"")
        self.assertEqual((host.path, host.lmtp, host.port), ("/run/lmtp", True, None))
        self.assertEqual(host.name, "/run/lmtp")

    def test_oauth2(self) -> None:
        """
        A host that wants tokens has their source, which was told the secrets; two
        of one account are equal.
        """
        smart = parseSmartHostTable(TableTests.microsoft)
        asked: list[object] = []

        def tokensFor(*words: object) -> object:
            asked.append(words)
            return object()

        def host() -> Host:
            return toHost(smart, lambda kind, where: b"hush\n", tokensFor)  # type: ignore[arg-type]

        self.assertEqual(host(), host())
        self.assertEqual(asked[0], ("robot@example.com", smart.oauth2, b"hush", None))
        assert isinstance(smart.oauth2, OAuth2)
        bearer = host().credentials
        assert isinstance(bearer, Bearer)
        self.assertEqual(bearer.account, smart.oauth2.accountOf("robot@example.com"))

    def test_oauth2WithoutSecret(self) -> None:
        """
        A secret that cannot be read is a configuration error that says which.
        """
        smart = parseSmartHostTable(TableTests.microsoft)
        error = self.assertRaises(
            ConfigurationError, toHost, smart, lambda kind, where: b""
        )
        self.assertIn("The client secret for robot@example.com at", str(error))

    def test_noPassword(self) -> None:
        """
        A password that cannot be read, or is none, is a configuration error
        that says where it was looked for.
        """

        def missing(kind: PasswordKind, where: str) -> bytes:
            raise FileNotFoundError(2, "No such file", where)

        def unset(kind: PasswordKind, where: str) -> bytes:
            raise KeyError(where)

        for read in (missing, unset, lambda kind, where: b"\n"):
            error = self.assertRaises(ConfigurationError, toHost, self.smart, read)
            self.assertIn("/etc/pw", str(error))

    def test_A09_longPassword(self) -> None:
        """
        A file that is something else than a password is not shown.
        """
        error = self.assertRaises(
            ConfigurationError,
            toHost,
            self.smart,
            lambda kind, where: SECRET.encode() * 1000,
        )
        self.assertNotIn(SECRET, str(error))
        self.assertNotIn(SECRET, repr(Credentials("me", SECRET.encode())))
