# -*- test-case-name: relaymail.test.route.test_tlscontexts -*-
"""
Tests for L{relaymail.route.tlscontexts}.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from relaymail.errors import ConfigurationError
from relaymail.protections import TLSResult
from relaymail.replies import Phase, Trouble, TroubleKind
from relaymail.route.hosts import Host, TLSNeed
from relaymail.route.sts.policy import STSMode, STSPolicy
from relaymail.route.tlscontexts import checkOwn, creatorFor, testedProblem
from relaymail.route.troubles import troubleOf
from relaymail.testing.certificates import Purpose, Throwaway, ThrowawayCA, selfSigned

NAME = "mx.example.org"
#: TLS 1.2 and 1.3 as they are called on the wire (RFC 8446 4.2.1), and the extension
#: that names those that a client knows.
TLS12, TLS13, SUPPORTED_VERSIONS = 0x0303, 0x0304, 43


def handshake(creator: Any, server: Any) -> tuple[Any, Any]:
    """
    Shake hands with a server in memory.

    @return: Both ends.

    @raise SSL.Error: When the client does not want to, or the server.
    """
    near = creator.clientConnectionForTLS(None)
    near.set_connect_state()
    far = SSL.Connection(server.getContext(), None)
    far.set_accept_state()
    for _ in range(5):
        for one, other in ((near, far), (far, near)):
            try:
                with contextlib.suppress(SSL.WantReadError):
                    one.do_handshake()
            finally:
                with contextlib.suppress(SSL.WantReadError):
                    other.bio_write(one.bio_read(1 << 16))
    # What a server says of the client's certificate comes behind TLS 1.3's end.
    with contextlib.suppress(SSL.WantReadError):
        near.recv(1)
    return near, far


def troubleWith(creator: Any, server: Any) -> Trouble | None:
    """
    Shake hands, and say what went wrong.
    """
    try:
        handshake(creator, server)
    except SSL.Error:
        return troubleOf(Failure(), Phase.STARTTLS)
    return None


def versionsOffered(hello: bytes) -> list[int]:
    """
    Read from a first flight which versions a client knows (RFC 8446 4.1.2, 4.2.1).
    """
    # The record's head, the message's, the version, 32 bytes of chance.
    at = 5 + 4 + 2 + 32
    at += 1 + hello[at]
    at += 2 + int.from_bytes(hello[at : at + 2], "big")
    at += 1 + hello[at] + 2
    while at < len(hello):
        kind, length = (
            int.from_bytes(hello[at + n : at + n + 2], "big") for n in (0, 2)
        )
        data = hello[at + 4 : at + 4 + length]
        if kind == SUPPORTED_VERSIONS:
            return [
                int.from_bytes(data[n : n + 2], "big") for n in range(1, len(data), 2)
            ]
        at += 4 + length
    return [int.from_bytes(hello[9:11], "big")]


class ContextCase(SynchronousTestCase):
    """
    A host with a certificate, and an authority that is trusted.
    """

    def setUp(self) -> None:
        self.authority = ThrowawayCA()
        self.caFile = self.authority.write(self.mktemp())
        self.server = self.authority.issue(NAME)

    def host(self, tls: TLSNeed, name: str = NAME, **kw: Any) -> Host:
        """
        Give a host; it trusts the authority.
        """
        return Host(name, tls=tls, **{"caFile": self.caFile, **kw})


class CreatorTests(ContextCase):
    """
    Tests for L{creatorFor}.
    """

    def test_never(self) -> None:
        """
        NEVER has no TLS.
        """
        self.assertIsNone(creatorFor(self.host(TLSNeed.NEVER)))

    def test_socket(self) -> None:
        """
        Nor has a socket, whatever is said of it.
        """
        for need in TLSNeed:
            host = self.host(need, name="/run/lmtp", path="/run/lmtp")
            self.assertIsNone(creatorFor(host))

    def test_notLookedAt(self) -> None:
        """
        OFFERED, ENCRYPTED and DANE take any certificate in the handshake, for any
        name or address, and name the host they want (RFC 6066 3), but no address.
        """
        for tls in (TLSNeed.OFFERED, TLSNeed.ENCRYPTED, TLSNeed.DANE):
            for name, told in (
                (NAME, NAME.encode()),
                (NAME + ".", NAME.encode()),
                ("other.example", b"other.example"),
                ("b\xfccher.example", b"xn--bcher-kva.example"),
                ("192.0.2.1", None),
                ("2001:db8::1", None),
            ):
                creator = creatorFor(self.host(tls, name))
                verifyObject(IOpenSSLClientConnectionCreator, creator)
                near, _ = handshake(creator, selfSigned("x.example").contextFactory)
                self.assertIn("TLSv1", near.get_protocol_version_name())
                self.assertEqual(near.get_servername(), told)

    def test_nameAskedFor(self) -> None:
        """
        Where a host has several names the first is asked for: that of its TLSA
        records (RFC 7672 3.2.1).
        """
        for need in (TLSNeed.VERIFIED, TLSNeed.DANE):
            host = self.host(need, "alias.example", names=(NAME, "example.org"))
            near, _ = handshake(creatorFor(host), self.server.contextFactory)
            self.assertEqual(near.get_servername(), NAME.encode())

    def test_versions(self) -> None:
        """
        TLS 1.2 is the oldest for every need.
        """
        for need in set(TLSNeed) - {TLSNeed.NEVER}:
            creator: Any = creatorFor(self.host(need))
            near = creator.clientConnectionForTLS(None)
            near.set_connect_state()
            self.assertRaises(SSL.WantReadError, near.do_handshake)
            found = versionsOffered(near.bio_read(1 << 16))
            self.assertEqual(set(found), {TLS12, TLS13}, need)

    def test_oneContext(self) -> None:
        """
        Hosts of a kind share what is costly to make.
        """
        contexts = set()
        for name in ("a.example", "b.example"):
            for need in (TLSNeed.OFFERED, TLSNeed.ENCRYPTED, TLSNeed.DANE):
                made: Any = creatorFor(self.host(need, name))
                contexts.add(made.context)
        self.assertEqual(len(contexts), 1)
        verified: Any = creatorFor(self.host(TLSNeed.VERIFIED))
        self.assertNotIn(verified.context, contexts)

    def test_nameThatNoCertificateHas(self) -> None:
        """
        A host whose name cannot be in a certificate is a trouble with TLS, not
        one of the mail.
        """
        trouble = None
        try:
            creatorFor(self.host(TLSNeed.VERIFIED, "mx_1.example.org"))
        except Exception:
            trouble = troubleOf(Failure(), Phase.CONNECT)
        assert trouble is not None
        self.assertIs(trouble.kind, TroubleKind.TLS)
        self.assertIs(trouble.result, TLSResult.WRONG_NAME)
        # Where it has another, that is enough.
        names = ("mx_1.example.org", NAME)
        host = self.host(TLSNeed.VERIFIED, names=names)
        handshake(creatorFor(host), self.server.contextFactory)


class VerifiedTests(ContextCase):
    """
    Which certificates are valid for a host.
    """

    def troubleWith(self, shown: Throwaway, **kw: Any) -> Trouble | None:
        """
        Show a certificate to who wants a valid one.
        """
        creator = creatorFor(self.host(TLSNeed.VERIFIED, **kw))
        return troubleWith(creator, shown.contextFactory)

    def test_taken(self) -> None:
        """
        One for the name from whom is trusted, with all that is between sent along.
        """
        between = self.authority.intermediate("Between").issue(NAME)
        wild = self.authority.issue("x.example", "*.example.org")
        address = self.authority.issue("192.0.2.1")
        for shown, kw in (
            (self.server, {}),
            (between, {}),
            (wild, {}),
            (address, {"name": "192.0.2.1"}),
            (self.server, {"name": NAME.upper() + "."}),
            (self.server, {"name": "x.example", "names": ("y.example", NAME)}),
        ):
            self.assertIsNone(self.troubleWith(shown, **kw), shown.names)

    def test_D09_refused(self) -> None:
        """
        Every other is refused, with the name that reports use and with words.
        """
        authority = self.authority
        old = authority.intermediate("Old", expired=True)
        none = authority.intermediate("None", mayIssue=False)
        between = authority.intermediate("Between").issue(NAME)
        rows: tuple[tuple[Throwaway, TLSResult, str], ...] = (
            (
                authority.issue("x.example"),
                TLSResult.WRONG_NAME,
                "the host's certificate is for x.example, not for mx.example.org",
            ),
            (
                authority.issue(NAME, expired=True),
                TLSResult.EXPIRED,
                "the host's certificate has expired on 2021-01-01",
            ),
            (old.issue(NAME), TLSResult.EXPIRED, "(Old) behind the host's has expired"),
            (selfSigned(NAME), TLSResult.NOT_TRUSTED, "is signed by itself"),
            (
                ThrowawayCA("Else").issue(NAME),
                TLSResult.NOT_TRUSTED,
                "an authority that this relay does not trust",
            ),
            (
                between.sending(),
                TLSResult.NOT_TRUSTED,
                "does not send the certificates between the two",
            ),
            (none.issue(NAME), TLSResult.NOT_TRUSTED, "not that of an authority"),
            (
                authority.issue(NAME, purpose=Purpose.CLIENT),
                TLSResult.NOT_TRUSTED,
                "is not meant to be that of a server",
            ),
        )
        for shown, result, words in rows:
            trouble = self.troubleWith(shown)
            assert trouble is not None, words
            self.assertIs(trouble.kind, TroubleKind.TLS, words)
            self.assertIs(trouble.result, result, words)
            self.assertIn(words, trouble.detail)
        # All of them had the context in common with this.
        self.assertIsNone(self.troubleWith(self.server))

    def test_hostIsTold(self) -> None:
        """
        A host whose certificate is refused gets an alert that says so (RFC 8446 6.2),
        and its operator a line in the log.
        """
        creator: Any = creatorFor(self.host(TLSNeed.VERIFIED, "x.example"))
        near = creator.clientConnectionForTLS(None)
        near.set_connect_state()
        far = SSL.Connection(self.server.contextFactory.getContext(), None)
        far.set_accept_state()
        self.assertRaises(SSL.WantReadError, near.do_handshake)
        far.bio_write(near.bio_read(1 << 16))
        self.assertRaises(SSL.WantReadError, far.do_handshake)
        near.bio_write(far.bio_read(1 << 16))
        self.assertRaises(SSL.Error, near.do_handshake)
        far.bio_write(near.bio_read(1 << 16))
        error = self.assertRaises(SSL.Error, far.do_handshake)
        self.assertIn("alert", str(error))

    def test_systemsOwn(self) -> None:
        """
        Without a file those that the system trusts are trusted.
        """
        trouble = self.troubleWith(self.server, caFile=None)
        assert trouble is not None
        self.assertIs(trouble.result, TLSResult.NOT_TRUSTED)

    def assertUnusable(self, path: str) -> None:
        """
        A file of certificates is refused, and the error names it.
        """
        host = self.host(TLSNeed.VERIFIED, caFile=path)
        error = self.assertRaises(ConfigurationError, creatorFor, host)
        self.assertIn(path, str(error))

    def test_badFiles(self) -> None:
        """
        A file that is missing, empty, or no certificate is refused.
        """
        path = self.mktemp()
        self.assertUnusable(path)
        for text in (b"", b"rubbish", b"rubbish\n-----END CERTIFICATE-----\n"):
            Path(path).write_bytes(text)
            self.assertUnusable(path)

    def test_severalCertificates(self) -> None:
        """
        A file may hold several.
        """
        path = Path(self.mktemp())
        other = selfSigned("else.example").certificatePEM
        path.write_bytes(other + self.authority.certificate.certificatePEM)
        self.assertIsNone(self.troubleWith(self.server, caFile=str(path)))

    def test_replaced(self) -> None:
        """
        A file that was replaced is read again, and one that is as it was is not.
        """
        host = self.host(TLSNeed.VERIFIED)
        before: Any = creatorFor(host)
        again: Any = creatorFor(host)
        self.assertIs(again.context, before.context)
        other = ThrowawayCA("Next")
        shown = other.issue(NAME)
        self.assertIsNotNone(self.troubleWith(shown))
        os.replace(other.write(self.mktemp()), self.caFile)
        self.assertIsNone(self.troubleWith(shown))
        self.assertIsNotNone(self.troubleWith(self.server))


class TestedTests(ContextCase):
    """
    L{testedProblem}: what a policy that is only tested would have had against a host.
    """

    def problem(self, shown: Throwaway | None, name: str = NAME, **more: Any) -> Any:
        """
        Give what is called wrong with a host that shows a certificate.
        """
        policy = STSPolicy(STSMode.TESTING, ("*.example.org",), 1)
        authority = self.authority.write(Path(self.mktemp()))
        host = Host(name, tested=policy, **{"caFile": authority, **more})
        near = None
        if shown is not None:
            near, _ = handshake(creatorFor(host), shown.contextFactory)
        found = testedProblem(host, near)
        return None if found is None else found.result

    def test_fine(self) -> None:
        """
        Nothing, of one that is as the policy says.
        """
        self.assertIs(self.problem(self.authority.issue(NAME)), None)

    def test_wrong(self) -> None:
        """
        The name, the time, or who vouches for it.
        """
        for shown, result in (
            (self.authority.issue("other.example.org"), TLSResult.WRONG_NAME),
            (self.authority.issue(NAME, expired=True), TLSResult.EXPIRED),
            (selfSigned(NAME), TLSResult.NOT_TRUSTED),
            (None, TLSResult.FAILED),
        ):
            self.assertIs(self.problem(shown), result)

    def test_notNamed(self) -> None:
        """
        That it does not name it.
        """
        shown = self.authority.issue("mx.other.example")
        self.assertIs(self.problem(shown, "mx.other.example"), TLSResult.FAILED)

    def test_noNameForCertificates(self) -> None:
        """
        That no certificate can be valid for its name.
        """
        shown = self.authority.issue(NAME)
        result = self.problem(shown, f"{'a' * 64}.example.org")
        self.assertIsNot(result, None)

    def test_ownTrouble(self) -> None:
        """
        That this relay does not know whom to trust says nothing of it.
        """
        shown = self.authority.issue(NAME)
        self.assertIs(self.problem(shown, caFile="/nowhere/ca.pem"), None)


class ClientCertificateTests(ContextCase):
    """
    Certificates that this relay shows.
    """

    def setUp(self) -> None:
        super().setUp()
        self.key, self.cert = self.clients("relay.example.com")
        self.wanting = self.server.serving(clients=self.authority)

    def clients(self, *names: str, **kw: Any) -> tuple[str, str]:
        """
        Write a certificate that the host takes.
        """
        issued = self.authority.issue(*names, purpose=Purpose.CLIENT, **kw)
        return issued.write(self.mktemp())

    def shown(self, host: Host) -> str | None:
        """
        Give the name in what is shown to a host that wants a certificate.
        """
        _, far = handshake(creatorFor(host), self.wanting)
        certificate = far.get_peer_certificate()
        name: str | None = certificate and certificate.get_subject().CN
        return name

    def test_shown(self) -> None:
        """
        It is shown, for every need, and its key may be in the same file.
        """
        both = Path(self.mktemp())
        both.write_bytes(Path(self.key).read_bytes() + Path(self.cert).read_bytes())
        for need in set(TLSNeed) - {TLSNeed.NEVER}:
            for cert, key in ((self.cert, self.key), (str(both), None)):
                host = self.host(need, certFile=cert, keyFile=key)
                self.assertEqual(self.shown(host), "relay.example.com")

    def test_chain(self) -> None:
        """
        So are the certificates behind it in the file.
        """
        between = self.authority.intermediate("Between")
        issued = between.issue("relay.example.com", purpose=Purpose.CLIENT)
        key, cert = issued.write(self.mktemp())
        host = self.host(TLSNeed.ENCRYPTED, certFile=cert, keyFile=key)
        self.assertEqual(self.shown(host), "relay.example.com")

    def test_wanted(self) -> None:
        """
        A host that wants one and gets none, or one that it does not take, says so,
        and in words it is what to do.
        """
        key, cert = self.clients("x.example", expired=True)
        host = self.host(TLSNeed.OFFERED, certFile=cert, keyFile=key)
        far = _Far(self.wanting)
        for found, told in (
            (far.troubleOf(creatorFor(self.host(TLSNeed.OFFERED))), "client-cert"),
            (far.troubleOf(creatorFor(host)), "that this relay showed has expired"),
        ):
            assert found is not None
            self.assertIs(found.kind, TroubleKind.TLS)
            self.assertIs(found.result, TLSResult.FAILED)
            self.assertIn(told, found.detail)

    def test_replaced(self) -> None:
        """
        Both files are read again when they were replaced.
        """
        host = self.host(TLSNeed.ENCRYPTED, certFile=self.cert, keyFile=self.key)
        before: Any = creatorFor(host)
        again: Any = creatorFor(host)
        self.assertIs(again.context, before.context)
        key, cert = self.clients("next.example.com")
        os.replace(cert, self.cert)
        os.replace(key, self.key)
        self.assertEqual(self.shown(host), "next.example.com")

    def test_unusable(self) -> None:
        """
        What cannot be read, is none, or does not belong together is refused, with
        the files and why.
        """
        other, _ = self.clients("other.example.com")
        nothing = self.mktemp()
        rubbish = Path(self.mktemp())
        rubbish.write_bytes(b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")
        for cert, key, why in (
            (nothing, self.key, "No such file"),
            (self.cert, nothing, "No such file"),
            (self.key, self.key, "there is no certificate (PEM) in"),
            (str(rubbish), self.key, ""),
            (self.cert, self.cert, ""),
            (self.cert, other, "the key is not that of the certificate"),
        ):
            host = self.host(TLSNeed.OFFERED, certFile=cert, keyFile=key)
            for use in (
                lambda h=host: creatorFor(h),
                lambda c=cert, k=key: checkOwn(c, k),
            ):
                error = self.assertRaises(ConfigurationError, use)
                self.assertIn(cert, str(error))
                self.assertIn(key, str(error))
                self.assertIn(why, str(error))
        checkOwn(self.cert, self.key)


class _Far:
    """
    A host whose complaints reach the client.
    """

    def __init__(self, server: Any) -> None:
        self._server = server

    def troubleOf(self, creator: Any) -> Trouble | None:
        """
        Shake hands, and say what the client hears of it.
        """
        near = creator.clientConnectionForTLS(None)
        near.set_connect_state()
        far = SSL.Connection(self._server.getContext(), None)
        far.set_accept_state()
        for _ in range(3):
            with contextlib.suppress(SSL.Error):
                far.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                near.bio_write(far.bio_read(1 << 16))
            try:
                with contextlib.suppress(SSL.WantReadError):
                    near.do_handshake()
                    near.recv(1)
            except SSL.Error:
                return troubleOf(Failure(), Phase.STARTTLS)
            with contextlib.suppress(SSL.WantReadError):
                far.bio_write(near.bio_read(1 << 16))
        return None
