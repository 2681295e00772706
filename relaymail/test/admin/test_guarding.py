# -*- test-case-name: relaymail.test.admin.test_guarding -*-
"""
Tests for L{relaymail.admin.guarding}: who may ask, and with what.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from relaymail.admin.guarding import (
    Asked,
    Body,
    Refusal,
    Rules,
    bodyRefusal,
    entranceRefusal,
    hostRefusal,
    tokenRefusal,
)
from relaymail.test.admin.worlds import TOKEN

KNOWN = frozenset(("localhost", "192.0.2.1", "::1", "mail.example.com"))


class HostTests(SynchronousTestCase):
    """
    The name that is asked for.
    """

    def status(self, *hosts: bytes) -> int | None:
        """
        Judge some Host fields.
        """
        refusal = hostRefusal(hosts, KNOWN)
        return None if refusal is None else refusal.status

    def test_known(self) -> None:
        """
        The API may be asked for by its names, in any form, and with any port.
        """
        for host in (
            b"localhost",
            b"LOCALHOST:8025",
            b"localhost.",
            b"192.0.2.1:1",
            b"[::1]",
            b"[0:0::1]:8025",
            b"Mail.Example.com",
        ):
            self.assertIsNone(self.status(host), host)

    def test_strange(self) -> None:
        """
        A name that somebody else made to point here is misdirected.
        """
        for host in (
            b"evil.example",
            b"localhost.evil.example",
            b"evil.example#localhost",
            b"user@localhost",
            b"localhost:80:80",
            b"localhost/",
            b"localhost\x00",
            b" localhost",
            b"[::1",
            b"192.0.2.1.evil.example",
            b"",
            b"\xff\xfe",
        ):
            self.assertEqual(self.status(host), 421, host)

    def test_one(self) -> None:
        """
        There is one Host field.
        """
        self.assertEqual(self.status(), 400)
        self.assertEqual(self.status(b"localhost", b"localhost"), 400)

    def test_A03_shownPrintable(self) -> None:
        """
        What was asked for is shown printable, and bounded.
        """
        refusal = hostRefusal([b"\x1b[31m<b>" + b"x" * 10_000], KNOWN)
        assert refusal is not None
        self.assertTrue(refusal.error.isprintable())
        self.assertLess(len(refusal.error), 300)


class EntranceTests(SynchronousTestCase):
    """
    Who comes in.
    """

    rules = Rules(KNOWN, frozenset(("https://mail.example.com",)), TOKEN)
    asked = Asked((b"localhost",), authorizations=(b"Bearer " + TOKEN,))

    def judge(self, isOpen: bool = False, **changes: object) -> int | None:
        """
        Judge somebody.
        """
        asked = replace(self.asked, **changes)  # type: ignore[arg-type]
        refusal = entranceRefusal(asked, self.rules, isOpen)
        return None if refusal is None else refusal.status

    def test_fine(self) -> None:
        """
        With the token one comes in, from an origin that is allowed, too.
        """
        self.assertIsNone(self.judge())
        self.assertIsNone(self.judge(origins=(b"https://mail.example.com",)))

    def test_origin(self) -> None:
        """
        A page of another origin does not, with the token either; two origins are
        none.
        """
        for origins in (
            (b"https://evil.example",),
            (b"null",),
            (b"",),
            (b"https://mail.example.com.evil.example",),
            (b"http://mail.example.com",),
            (b"https://mail.example.com", b"https://evil.example"),
        ):
            self.assertEqual(self.judge(origins=origins), 403, origins)

    def test_token(self) -> None:
        """
        Without the token, or with another, one does not come in.
        """
        for shown in (
            (),
            (b"Bearer",),
            (b"Bearer ",),
            (b"Bearer " + TOKEN[:-1],),
            (b"Bearer " + TOKEN + b"x",),
            (b"Bearer " + TOKEN.upper(),),
            (b"Basic " + TOKEN,),
            (TOKEN,),
            (b"Bearer " + TOKEN, b"Bearer " + TOKEN),
            (b"Bearer \xff\xfe",),
        ):
            self.assertEqual(self.judge(authorizations=shown), 401, shown)
        self.assertIsNone(self.judge(authorizations=(b"bearer  " + TOKEN + b" ",)))

    def test_open(self) -> None:
        """
        What is open needs no token, but the right host and origin.
        """
        self.assertIsNone(self.judge(True, authorizations=()))
        self.assertEqual(self.judge(True, hosts=(b"evil.example",)), 421)
        self.assertEqual(self.judge(True, origins=(b"https://evil.example",)), 403)

    def test_emptyToken(self) -> None:
        """
        An empty token lets nobody in.
        """
        refusal = tokenRefusal((b"Bearer ",), b"")
        assert refusal is not None
        self.assertEqual(refusal.status, 401)

    def test_A09_tokensAreNotShown(self) -> None:
        """
        Tokens are in no refusal and in no representation.
        """
        refusal = tokenRefusal((b"Bearer guessed-it",), TOKEN)
        assert refusal is not None
        shown = repr((self.rules, self.asked, refusal, refusal.error, refusal.headers))
        self.assertNotIn(TOKEN.decode(), shown)
        self.assertNotIn("guessed-it", shown)
        self.assertEqual(
            refusal.headers, {"WWW-Authenticate": 'Bearer realm="relaymail"'}
        )


class BodyTests(SynchronousTestCase):
    """
    What is sent along.
    """

    def judge(self, body: Body, length: int | None, *kinds: bytes) -> Refusal | None:
        """
        Judge a body, of which at most 1000 octets are taken.
        """
        return bodyRefusal(Asked(kinds=kinds, length=length), body, 1000)

    def status(self, body: Body, length: int | None, *kinds: bytes) -> int | None:
        """
        Judge one.
        """
        refusal = self.judge(body, length, *kinds)
        return None if refusal is None else refusal.status

    def test_none(self) -> None:
        """
        What takes no body takes none.
        """
        self.assertIsNone(self.status(Body.NONE, 0))
        for length in (1, None):
            self.assertEqual(self.status(Body.NONE, length, b"text/plain"), 413)

    def test_kind(self) -> None:
        """
        What changes something needs the type that it takes, which no form sends.
        """
        for kind in (b"application/json", b"Application/JSON; charset=utf-8"):
            self.assertIsNone(self.status(Body.JSON, 10, kind))
        for kinds in (
            (),
            (b"",),
            (b"text/plain",),
            (b"application/x-www-form-urlencoded",),
            (b"multipart/form-data; boundary=x",),
            (b"application/json", b"application/json"),
            (b"message/rfc822",),
            (b"application/jsonp",),
        ):
            self.assertEqual(self.status(Body.JSON, 10, *kinds), 415, kinds)

    def test_A05_size(self) -> None:
        """
        What is larger than what is taken is refused by its length; of what has none
        it is found when it is read.
        """
        kind = b"message/rfc822"
        self.assertIsNone(self.status(Body.MESSAGE, 1000, kind))
        self.assertEqual(self.status(Body.MESSAGE, 1001, kind), 413)
        self.assertIsNone(self.status(Body.MESSAGE, None, kind))
