"""
Tests for L{relaymail.dialogue.sasl.scramclient} and
L{relaymail.dialogue.sasl.scram}.
"""

from __future__ import annotations

import base64

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.sasl import SASLError, SCRAMAuthenticator
from relaymail.dialogue.sasl.errors import ServerNotProven, UnusableSecret
from relaymail.dialogue.sasl.scram import (
    MAX_ITERATIONS,
    NOT_OFFERED,
    SHA1,
    SHA256,
    UNBOUND,
    Channel,
    ScramKind,
    rememberedKeys,
)

SECRET = b"pencil"

#: The example of RFC 5802 5: what is said, in turn.
SHA1_EXAMPLE = (
    b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
    b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
    b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
    b"p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
)
#: The example of RFC 7677 3.
SHA256_EXAMPLE = (
    b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
)


def begin(
    kind: ScramKind = SHA256,
    nonce: bytes = b"rOprNGfwEbeRWgbNEkqO",
    channel: Channel = UNBOUND,
    user: bytes = b"user",
) -> SCRAMAuthenticator:
    """
    Make a client whose nonce is known.
    """
    return SCRAMAuthenticator(user, kind, lambda: nonce, channel)


class ExampleTests(SynchronousTestCase):
    """
    The examples of the standards.
    """

    def test_SHA1(self) -> None:
        """
        RFC 5802 5.
        """
        self.assertSays(begin(SHA1, b"fyko+d2lbbFgONRv9qkxdawL"), SHA1_EXAMPLE)

    def test_SHA256(self) -> None:
        """
        RFC 7677 3; also twice, with the keys remembered.
        """
        client = begin()
        self.assertSays(client, SHA256_EXAMPLE)
        hits = rememberedKeys.cache_info().hits
        self.assertSays(client, SHA256_EXAMPLE)
        self.assertEqual(rememberedKeys.cache_info().hits, hits + 1)

    def assertSays(self, client: SCRAMAuthenticator, said: tuple[bytes, ...]) -> None:
        """
        Check that a client says what the example does, to the end.
        """
        self.assertEqual(client.initialResponse(SECRET), said[0])
        self.assertEqual(client.challengeResponse(SECRET, said[1]), said[2])
        self.assertEqual(client.challengeResponse(SECRET, said[3]), b"")
        client.accepted(b"2.7.0 welcome")


class SCRAMTests(SynchronousTestCase):
    """
    Tests for L{SCRAMAuthenticator}.
    """

    def test_names(self) -> None:
        """
        With a channel binding it is another mechanism (RFC 5802 4).
        """
        bound = Channel.bound("tls-exporter", b"x")
        for kind, channel, name in (
            (SHA1, UNBOUND, b"SCRAM-SHA-1"),
            (SHA1, bound, b"SCRAM-SHA-1-PLUS"),
            (SHA256, NOT_OFFERED, b"SCRAM-SHA-256"),
            (SHA256, bound, b"SCRAM-SHA-256-PLUS"),
        ):
            self.assertEqual(begin(kind, channel=channel).getName(), name)

    def test_header(self) -> None:
        """
        What is said of channel bindings is said first, and again with the proof (RFC
        5802 6).
        """
        for channel, header in (
            (UNBOUND, b"n,,"),
            (NOT_OFFERED, b"y,,"),
            (Channel.bound("tls-exporter", b"EKM"), b"p=tls-exporter,,"),
        ):
            client = begin(channel=channel)
            first = client.initialResponse(SECRET)
            self.assertEqual(first, header + b"n=user,r=rOprNGfwEbeRWgbNEkqO")
            final = client.challengeResponse(SECRET, SHA256_EXAMPLE[1])
            bound = base64.b64encode(header + channel.data)
            self.assertTrue(final.startswith(b"c=" + bound + b",r="), final)

    def test_A03_name(self) -> None:
        """
        Commas and equals signs in the name end no attribute (RFC 5802 5.1).
        """
        client = begin(user=b"tim,a=root")
        self.assertEqual(client.initialResponse(SECRET)[:20], b"n,,n=tim=2Ca=3Droot,")

    def test_unusable(self) -> None:
        """
        What SASLprep does not allow is told before anything is sent.
        """
        self.assertRaises(UnusableSecret, begin().initialResponse, b"\xff")
        self.assertRaises(UnusableSecret, begin(user=b"\x07").initialResponse, SECRET)

    def hear(self, first: bytes) -> bytes:
        """
        Answer the server's first message.
        """
        client = begin()
        client.initialResponse(SECRET)
        return client.challengeResponse(SECRET, first)

    def test_nonce(self) -> None:
        """
        The server's nonce is ours and more (RFC 5802 5.1).
        """
        rest = SHA256_EXAMPLE[1].partition(b",")[2]
        for nonce in (b"", b"rOprNGfwEbeRWgbNEkqO", b"rOprNGfwEbeRWgbNEkqp%hvYDpWU"):
            with self.assertRaises(ServerNotProven):
                self.hear(b"r=" + nonce + b"," + rest)
        self.hear(b"r=rOprNGfwEbeRWgbNEkqOx," + rest)

    def test_A06_iterations(self) -> None:
        """
        A password that is hashed hardly ever is as good as said (RFC 7677 4), and
        one that is hashed for minutes holds the relay up.
        """
        head = SHA256_EXAMPLE[1].rpartition(b"i=")[0]
        for count in (b"4095", b"0", b"-1", b"x", b"", b"1e9", b"%d" % 10**12):
            with self.assertRaises(ServerNotProven):
                self.hear(head + b"i=" + count)
        with self.assertRaises(ServerNotProven):
            self.hear(head + b"i=%d" % (MAX_ITERATIONS + 1))
        self.hear(head + b"i=4096")
        self.hear(head + b"i=5000,x=extension")

    def test_malformed(self) -> None:
        """
        What is no message of SCRAM's is not answered; nor are extensions that must
        be understood (RFC 5802 5.1).
        """
        for message in (
            b"",
            b"r=",
            SHA256_EXAMPLE[1][:-7],
            b"m=must," + SHA256_EXAMPLE[1],
            SHA256_EXAMPLE[1].replace(b"s=W22Z", b"s=W2!Z"),
            SHA256_EXAMPLE[1].replace(b"s=W22ZaJ0SNY7soEsUEjb6gQ==", b"s="),
            SHA256_EXAMPLE[1] + b"," + b"x" * 3000,
        ):
            with self.assertRaises(ServerNotProven):
                self.hear(message)

    def proven(self) -> SCRAMAuthenticator:
        """
        Give a client that has sent its proof.
        """
        client = begin()
        client.initialResponse(SECRET)
        client.challengeResponse(SECRET, SHA256_EXAMPLE[1])
        return client

    def test_wrongSignature(self) -> None:
        """
        A server that does not know the password is not believed, whatever it says
        afterwards (RFC 5802 5.1).
        """
        wrong = b"v=" + base64.b64encode(b"x" * 32)
        for message in (wrong, b"v=", b"v=!", b"x", b"", SHA256_EXAMPLE[3][:-5]):
            client = self.proven()
            with self.assertRaises(ServerNotProven):
                client.challengeResponse(SECRET, message)
            with self.assertRaises(ServerNotProven):
                client.accepted(b"")

    def test_noSignature(self) -> None:
        """
        Neither is one that says yes without having shown that.
        """
        client = begin()
        client.initialResponse(SECRET)
        self.assertRaises(ServerNotProven, client.accepted, b"fine")
        self.assertRaises(ServerNotProven, self.proven().accepted, b"2.7.0 fine")
        wrong = base64.b64encode(b"v=" + base64.b64encode(b"x" * 32))
        self.assertRaises(ServerNotProven, self.proven().accepted, wrong)

    def test_signatureWithSuccess(self) -> None:
        """
        The signature may come with the reply.
        """
        self.proven().accepted(base64.b64encode(SHA256_EXAMPLE[3]))
        self.proven().accepted(b"2.7.0 " + base64.b64encode(SHA256_EXAMPLE[3]))

    def test_endless(self) -> None:
        """
        Behind the signature nothing is answered.
        """
        client = self.proven()
        client.challengeResponse(SECRET, SHA256_EXAMPLE[3])
        with self.assertRaises(ServerNotProven):
            client.challengeResponse(SECRET, SHA256_EXAMPLE[3])

    def test_error(self) -> None:
        """
        An error is acknowledged, for the reply comes after that; yes is no answer to
        it.
        """
        client = self.proven()
        said = client.challengeResponse(SECRET, b"e=invalid-proof")
        self.assertEqual(said, b"")
        self.assertRaises(ServerNotProven, client.accepted, b"fine")
        self.assertEqual(self.hear(b"e=unknown-user"), b"")

    def test_tampered(self) -> None:
        """
        Where the server sees another offer, or another connection, somebody is in
        between (RFC 5802 6).
        """
        for error in (
            b"e=server-does-support-channel-binding",
            b"e=channel-bindings-dont-match",
        ):
            with self.assertRaises(ServerNotProven):
                self.hear(error)
            with self.assertRaises(ServerNotProven):
                self.proven().challengeResponse(SECRET, error)

    def test_A09_errors(self) -> None:
        """
        Neither the secret nor what is made of it is in an error or a C{repr}.
        """
        client = self.proven()
        with self.assertRaises(ServerNotProven) as raised:
            client.challengeResponse(SECRET, b"v=AAAA")
        keys = rememberedKeys(SHA256, SECRET, b"salt", 4096)
        for text in (repr(raised.exception), repr(client), repr(keys)):
            self.assertNotIn("pencil", text)
            self.assertNotIn(repr(keys.clientKey), text)

    @given(st.lists(st.binary(max_size=60), max_size=4), st.integers(0, 40))
    @settings(max_examples=100, deadline=None)
    def test_A06_anything(self, said: list[bytes], cut: int) -> None:
        """
        Whatever a server says, nothing but the declared errors is raised, and it is
        never believed.
        """
        client = begin()
        client.initialResponse(SECRET)
        try:
            for message in (SHA256_EXAMPLE[1][:-cut], *said):
                client.challengeResponse(SECRET, message)
        except SASLError:
            pass
        self.assertRaises(ServerNotProven, client.accepted, b"".join(said))
