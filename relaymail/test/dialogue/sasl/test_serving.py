"""
Tests for L{relaymail.dialogue.sasl.serving} and
L{relaymail.dialogue.sasl.scramserver}: each mechanism of the server against that of
the client.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.sasl import (
    CramMD5ClientAuthenticator,
    LOGINAuthenticator,
    OAUTHBEARERAuthenticator,
    PLAINAuthenticator,
    SCRAMAuthenticator,
)
from relaymail.dialogue.sasl.errors import (
    Denied,
    MalformedResponse,
    SASLError,
    ServerNotProven,
)
from relaymail.dialogue.sasl.scram import (
    NOT_OFFERED,
    SHA1,
    SHA256,
    UNBOUND,
    Channel,
    Verifier,
    verifierOf,
)
from relaymail.dialogue.sasl.scramserver import SCRAMServer
from relaymail.dialogue.sasl.serving import (
    CramMD5Server,
    LOGINServer,
    OAUTHBEARERServer,
    PLAINServer,
    ServerMechanism,
)
from relaymail.dialogue.sasl.steps import (
    Asks,
    Checks,
    DigestClaim,
    Ends,
    PasswordClaim,
    ScramClaim,
    Step,
    TokenClaim,
)
from relaymail.test.dialogue.sasl.test_bearer import TOKEN
from relaymail.test.dialogue.sasl.test_scramclient import SHA1_EXAMPLE, SHA256_EXAMPLE

SECRET = "pä".encode()
VERIFIER = verifierOf(SHA256, SECRET, b"salt", 4096)
EXPORTER = {"tls-exporter": b"keys"}
CHALLENGE = b"<1896.697170952@postoffice.reston.mci.net>"


def judge(claim: Any) -> object:
    """
    Judge a claim of Tim's.
    """
    match claim:
        case PasswordClaim(user, password):
            return (user, password) == ("tim", SECRET)
        case DigestClaim(user, challenge, digest):
            wanted = hmac.new(SECRET, challenge, "md5").hexdigest().encode()
            return (user, digest) == ("tim", wanted)
        case ScramClaim(user):
            return VERIFIER if user == "tim" else None
        case TokenClaim(_, token):
            return token == TOKEN
    raise AssertionError(claim)


def converse(
    client: Any, server: ServerMechanism, secret: bytes, *, begins: bool = False
) -> str:
    """
    Let a client authenticate.

    @param begins: Whether it has an initial response.

    @return: Who it is.
    """
    step: Step = server.respond(client.initialResponse(secret) if begins else None)
    for _ in range(6):
        while isinstance(step, Checks):
            step = server.judged(judge(step.claim))
        if isinstance(step, Ends):
            if hasattr(client, "accepted"):
                client.accepted(b"")
            return step.user
        assert isinstance(step, Asks)
        step = server.respond(client.challengeResponse(secret, step.data))
    raise AssertionError("no end")


def scram(channel: Channel = UNBOUND, user: bytes = b"tim") -> SCRAMAuthenticator:
    """
    Make a client for SCRAM.
    """
    return SCRAMAuthenticator(user, SHA256, lambda: b"client", channel)


def scramServer(
    bindings: dict[str, bytes] | None = None, *, isBound: bool = False
) -> SCRAMServer:
    """
    Make a server for it.
    """
    return SCRAMServer(SHA256, b"server", bindings or {}, isBound=isBound)


class BothSidesTests(SynchronousTestCase):
    """
    A client's mechanism with the server's.
    """

    pairs: tuple[tuple[Any, Callable[[], ServerMechanism]], ...] = (
        (PLAINAuthenticator, PLAINServer),
        (LOGINAuthenticator, LOGINServer),
        (CramMD5ClientAuthenticator, lambda: CramMD5Server(CHALLENGE)),
    )

    def test_rightPassword(self) -> None:
        """
        Whoever knows the password is taken for who it says it is.
        """
        for client, server in self.pairs:
            user = converse(client(b"tim"), server(), SECRET)
            self.assertEqual(user, "tim", client)

    def test_wrongPassword(self) -> None:
        """
        Whoever does not is not; nor is who is not known.
        """
        for client, server in self.pairs:
            for user, secret in ((b"tim", b"wrong"), (b"tom", SECRET)):
                with self.assertRaises(Denied):
                    converse(client(user), server(), secret)

    def test_SCRAM(self) -> None:
        """
        The same with SCRAM (RFC 7677), with channel binding and without.
        """
        bound = Channel.bound("tls-exporter", b"keys")
        for channel, bindings, isBound in (
            (UNBOUND, {}, False),
            (UNBOUND, EXPORTER, False),
            (NOT_OFFERED, {}, False),
            (bound, EXPORTER, True),
        ):
            for secret, user in ((b"wrong", b"tim"), (SECRET, b"tom")):
                server = scramServer(bindings, isBound=isBound)
                with self.assertRaises(Denied):
                    converse(scram(channel, user), server, secret, begins=True)
            server = scramServer(bindings, isBound=isBound)
            found = converse(scram(channel), server, SECRET, begins=True)
            self.assertEqual(found, "tim")

    def test_OAUTHBEARER(self) -> None:
        """
        A token is taken, or is not: then the client acknowledges that first (RFC 7628
        3.2.3).
        """
        client = OAUTHBEARERAuthenticator(b"tim")
        found = converse(client, OAUTHBEARERServer(), TOKEN, begins=True)
        self.assertEqual(found, "tim")
        with self.assertRaises(Denied):
            converse(client, OAUTHBEARERServer(), b"other", begins=True)
        self.assertTrue(client.blamesSecret)


class PLAINTests(SynchronousTestCase):
    """
    Tests for L{PLAINServer}, and what all servers do with names.
    """

    def test_example(self) -> None:
        """
        The example of RFC 4616 4.
        """
        step = PLAINServer().respond(b"\0tim\0tanstaaftanstaaf")
        self.assertEqual(step, Checks(PasswordClaim("tim", b"tanstaaftanstaaf")))

    def test_actAs(self) -> None:
        """
        Who to act as is oneself (RFC 4616 4, the second example).
        """
        self.assertRaises(Denied, PLAINServer().respond, b"Ursel\0Kurt\0xipj3plmq")
        self.assertEqual(
            PLAINServer().respond(b"Kurt\0Kurt\0xipj3plmq"),
            Checks(PasswordClaim("Kurt", b"xipj3plmq")),
        )

    def test_prepared(self) -> None:
        """
        However they are typed, name and password are the same (RFC 4616 2).
        """
        self.assertEqual(
            PLAINServer().respond("\0t\u00adim\0p\u0061\u0308".encode()),
            Checks(PasswordClaim("tim", SECRET)),
        )
        self.assertEqual(
            PLAINServer().respond(b"\0tim\0\xe4"),
            Checks(PasswordClaim("tim", b"\xe4")),
        )

    def test_malformed(self) -> None:
        """
        What is no response of the mechanism's is told from a wrong one.
        """
        for said in (b"", b"tim", b"\0tim", b"\0tim\0pw\0", b"\0t\xff\0pw"):
            self.assertRaises(MalformedResponse, PLAINServer().respond, said)
        for said in (b"\0\0pw", b"\0tim\0", b"\0%s\0pw" % (b"x" * 400)):
            self.assertRaises(Denied, PLAINServer().respond, said)
        self.assertRaises(MalformedResponse, PLAINServer().respond, b"x" * 10000)


class LOGINTests(SynchronousTestCase):
    """
    Tests for L{LOGINServer}.
    """

    def test_initialResponse(self) -> None:
        """
        The name may come with the command.
        """
        server = LOGINServer()
        self.assertEqual(server.respond(b"tim"), Asks(b"Password:"))
        self.assertEqual(server.respond(b"pw"), Checks(PasswordClaim("tim", b"pw")))
        self.assertEqual(server.judged(True), Ends("tim"))


class CramMD5Tests(SynchronousTestCase):
    """
    Tests for L{CramMD5Server}.
    """

    def test_example(self) -> None:
        """
        The example of RFC 2195 2.
        """
        server = CramMD5Server(CHALLENGE)
        self.assertEqual(server.respond(None), Asks(CHALLENGE))
        digest = b"b913a602c7eda7a495b4e6e7334d3890"
        self.assertEqual(
            server.respond(b"tim " + digest),
            Checks(DigestClaim("tim", CHALLENGE, digest)),
        )

    def test_malformed(self) -> None:
        """
        There is no initial response, and a digest has 32 digits.
        """
        server = CramMD5Server(CHALLENGE)
        self.assertRaises(MalformedResponse, server.respond, b"tim " + b"0" * 32)
        server.respond(None)
        for said in (b"", b"tim", b"tim abc", b"tim " + b"G" * 32):
            self.assertRaises(MalformedResponse, server.respond, said)


class OAUTHBEARERTests(SynchronousTestCase):
    """
    Tests for L{OAUTHBEARERServer}.
    """

    def test_example(self) -> None:
        """
        The examples of RFC 7628 4.1 and 4.3, and one that leaves the name to the
        token.
        """
        said = (
            b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01"
            b"auth=Bearer " + TOKEN + b"\x01\x01"
        )
        step = OAUTHBEARERServer().respond(said)
        self.assertEqual(step, Checks(TokenClaim("user@example.com", TOKEN)))
        step = OAUTHBEARERServer().respond(b"n,,\x01auth=bearer x\x01\x01")
        self.assertEqual(step, Checks(TokenClaim("", b"x")))

    def test_error(self) -> None:
        """
        An error is told as RFC 7628 4.3 does; whatever is answered is the end.
        """
        for said in (b"\x01", b"", None, b"n,,\x01auth=Bearer x\x01\x01"):
            server = OAUTHBEARERServer()
            server.respond(b"n,,\x01auth=Bearer x\x01\x01")
            step = server.judged(False)
            self.assertEqual(step, Asks(b'{"status": "invalid_token"}'))
            self.assertRaises(Denied, server.respond, said)

    def test_malformed(self) -> None:
        """
        There is a token, in the form of RFC 7628 3.1.
        """
        for said in (
            b"",
            b"n,,",
            b"n,,\x01\x01",
            b"p=x,,\x01auth=Bearer x\x01\x01",
            b"n,,\x01auth=Bearer x\x01",
            b"n,,\x01auth=Bearer \x01\x01",
            b"n,,\x01auth=Basic x\x01\x01",
            b"n,a=\xff,\x01auth=Bearer x\x01\x01",
        ):
            self.assertRaises(MalformedResponse, OAUTHBEARERServer().respond, said)


class SCRAMTests(SynchronousTestCase):
    """
    Tests for L{SCRAMServer}.
    """

    def test_examples(self) -> None:
        """
        RFC 5802 5 and RFC 7677 3, seen from the server.
        """
        for kind, said, salt, mine in (
            (SHA1, SHA1_EXAMPLE, "4125c247e43ab1e93c6dff76", 24),
            (SHA256, SHA256_EXAMPLE, "5b6d99689d12358eeca04b141236fa81", 20),
        ):
            whole = said[1][2:].partition(b",")[0]
            server = SCRAMServer(kind, whole[mine:], {}, isBound=False)
            step = server.respond(said[0])
            self.assertEqual(step, Checks(ScramClaim("user", kind)))
            verifier = verifierOf(kind, b"pencil", bytes.fromhex(salt), 4096)
            self.assertEqual(server.judged(verifier), Asks(said[1]))
            step = server.respond(said[2])
            self.assertEqual(step, Asks(said[3], isProven=True))
            self.assertEqual(server.respond(b""), Ends("user"))

    def test_wrongConnection(self) -> None:
        """
        Somebody in between, whose connection is another, is found out.
        """
        client = scram(Channel.bound("tls-exporter", b"other keys"))
        with self.assertRaises(Denied):
            converse(client, scramServer(EXPORTER, isBound=True), SECRET, begins=True)

    def test_unknownBinding(self) -> None:
        """
        A binding that the connection does not have is told (RFC 5802 7).
        """
        server = scramServer(EXPORTER, isBound=True)
        step = server.respond(b"p=tls-unique,,n=tim,r=client")
        self.assertEqual(step, Asks(b"e=unsupported-channel-binding-type"))
        self.assertRaises(Denied, server.respond, b"")

    def test_downgrade(self) -> None:
        """
        A client that could bind, and was not told that we can, is told: both know
        then that somebody changed our offer (RFC 5802 6).
        """
        server = scramServer(EXPORTER)
        with self.assertRaises(ServerNotProven):
            converse(scram(NOT_OFFERED), server, SECRET, begins=True)
        self.assertRaises(Denied, server.respond, b"")

    def test_changedHeader(self) -> None:
        """
        What was said of bindings is proved too: it cannot be changed on the way.
        """
        client, server = scram(NOT_OFFERED), scramServer()
        first = client.initialResponse(SECRET)
        server.respond(b"n" + first[1:])
        asked = server.judged(VERIFIER)
        assert isinstance(asked, Asks)
        proof = client.challengeResponse(SECRET, asked.data)
        self.assertRaises(Denied, server.respond, proof)
        self.assertRaises(Denied, server.respond, proof)

    def test_malformed(self) -> None:
        """
        What is no message of the client's is told from a wrong one.
        """
        for said in (
            b"",
            b"n",
            b"n,,",
            b"n,,n=tim",
            b"n,,r=x,n=tim",
            b"n,,m=x,n=tim,r=x",
            b"n,,n=tim,r=",
            b"n,,n=tim,r=a b",
            b"n,,n=ti=m,r=x",
            b"n,,n=\xff,r=x",
            b"p=tls-exporter,,n=tim,r=x",
            b"n,,n=tim,r=" + b"x" * 300,
        ):
            self.assertRaises(MalformedResponse, scramServer().respond, said)
        unbound = scramServer(EXPORTER, isBound=True)
        self.assertRaises(MalformedResponse, unbound.respond, b"n,,n=tim,r=x")
        self.assertRaises(Denied, scramServer().respond, b"n,a=root,n=tim,r=x")

    def test_malformedProof(self) -> None:
        """
        Neither is a proof that is none.
        """
        for said in (b"", b"c=biws", b"c=biws,r=x,p=!", b"c=biws,r=clientserver,p=AA"):
            server = scramServer()
            server.respond(b"n,,n=tim,r=client")
            server.judged(VERIFIER)
            self.assertRaises(MalformedResponse, server.respond, said)

    def test_afterTheEnd(self) -> None:
        """
        Behind the signature nothing is said.
        """
        client, server = scram(), scramServer()
        server.respond(client.initialResponse(SECRET))
        asked = server.judged(VERIFIER)
        assert isinstance(asked, Asks)
        server.respond(client.challengeResponse(SECRET, asked.data))
        self.assertRaises(MalformedResponse, server.respond, b"x")

    def test_A09_repr(self) -> None:
        """
        What is secret is in no C{repr}.
        """
        for value in (
            PasswordClaim("tim", b"SECRET"),
            DigestClaim("tim", b"", b"SECRET"),
            TokenClaim("tim", b"SECRET"),
            Verifier(b"salt", 4096, b"SECRET", b"SECRET"),
        ):
            self.assertNotIn("SECRET", repr(value))


class AnythingTests(SynchronousTestCase):
    """
    Clients that say anything.
    """

    pieces = st.sampled_from(
        b"n,,|y,,|p=tls-exporter,,|n=tim|,|r=client|\0|tim|\x01|auth=Bearer x|a=|"
        b"c=biws|p=|\xff| ".split(b"|")
    )
    said = st.one_of(
        st.none(), st.lists(pieces, max_size=8).map(b"".join), st.binary(max_size=40)
    )

    @given(st.lists(said, min_size=1, max_size=5), st.integers(0, 5))
    @settings(max_examples=200, deadline=None)
    def test_A05_anything(self, said: list[bytes | None], which: int) -> None:
        """
        Whatever a client says, nothing but the declared errors is raised, and nobody
        is let in who is not judged.
        """
        server: Any = (
            PLAINServer(),
            LOGINServer(),
            CramMD5Server(CHALLENGE),
            OAUTHBEARERServer(),
            scramServer(EXPORTER),
            scramServer(EXPORTER, isBound=True),
        )[which]
        try:
            for response in said:
                step = server.respond(response)
                self.assertNotIsInstance(step, Ends)
                if isinstance(step, Checks):
                    isScram = isinstance(step.claim, ScramClaim)
                    step = server.judged(VERIFIER if isScram else False)
        except SASLError:
            pass
