"""
Tests for L{relaymail.route.smarthosts}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import ConfigurationError
from relaymail.route.hosts import Credentials, Host, TLSNeed
from relaymail.route.smarthosts import (
    PasswordKind,
    PasswordSource,
    SmartHost,
    parseSmartHost,
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
        self.assertIs(parseSmartHost("h.example?tls=never").tls, TLSNeed.NEVER)

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
        ):
            error = self.assertRaises(ConfigurationError, parseSmartHost, value)
            text = str(error)
            self.assertTrue(text.isprintable(), text)
            self.assertIn(" is not a smart host: ", text)

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
        self.assertTrue(0 < found.port < 65536)


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
