# -*- test-case-name: relaymail.test.endtoend.test_doctor -*-
"""
The doctor's checks of the network, on sockets of this machine.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThread
from twisted.protocols.basic import LineReceiver

from relaymail.configuration.secrets import readHost
from relaymail.configuration.structuring import configure
from relaymail.doctor.answers import Answer, Verdict
from relaymail.doctor.network import Network
from relaymail.doctor.questions import Asker
from relaymail.doctor.relays import checkSmartHosts
from relaymail.test.directories import shortDirectory
from relaymail.test.endtoend.harness import EndToEndTestCase, exchange
from relaymail.testing.certificates import ThrowawayCA
from relaymail.testing.dns import Fault
from relaymail.testing.servers import Act, SMTPServer

USER, PASSWORD = "me", "correct horse"
#: How long the checks wait for anything here, in seconds.
WAIT = 1.0


class DoctorTestCase(EndToEndTestCase):
    """
    Asks in a thread, for the servers are in this process.
    """

    def setUp(self) -> None:
        """
        Make an authority, and keep a password in a file.
        """
        super().setUp()
        self.directory.mkdir(parents=True)
        self.authority = ThrowawayCA()
        self.caPath = self.authority.write(self.directory)
        self.password = self.directory / "password"
        self.password.write_text(f"{PASSWORD}\n")

    async def answer(self, look: Callable[[], Iterable[Answer]]) -> Answer:
        """
        Give the one answer of a check.
        """
        (found,) = await deferToThread(lambda: list(look()))
        assert isinstance(found, Answer)
        return found

    def assertAnswer(self, answer: Answer, verdict: Verdict, words: str) -> None:
        """
        Check what is answered, and that no password is in it.
        """
        self.assertIs(answer.verdict, verdict, answer)
        self.assertIn(words, answer.found)
        self.assertNotIn(PASSWORD, answer.found + answer.remedy)


class Store(LineReceiver):
    """
    A mail store that is only greeted.
    """

    def connectionMade(self) -> None:
        """
        Greet.
        """
        self.sendLine(b"220 store.example LMTP")

    def lineReceived(self, line: bytes) -> None:
        """
        Answer LHLO and QUIT.
        """
        verb = line[:4].upper()
        known = {b"LHLO": b"250 store.example", b"QUIT": b"221 Bye"}
        self.sendLine(known.get(verb, b"500 What?"))


class SmartHostTests(DoctorTestCase):
    """
    Tests for the login.
    """

    def start(self, **settings: Any) -> SMTPServer:
        """
        Start a server that wants a password.
        """
        told = {
            "contextFactory": self.authority.issue("127.0.0.1").contextFactory,
            "users": {USER: PASSWORD},
            **settings,
        }
        return self.startServer(**told)

    async def login(self, server: SMTPServer, scheme: str, more: str = "") -> Answer:
        """
        Log in.
        """
        url = f"{scheme}://{USER}@127.0.0.1:{server.port}?password-file={self.password}"
        made = configure(queue=str(self.directory / "q"), smartHosts=[url + more])
        host = readHost(made.delivery.smartHosts[0])
        return await self.answer(lambda: checkSmartHosts([host], "relay.example", WAIT))

    async def look(self, said: Any) -> Answer:
        """
        Look at a smart host as it is described.
        """
        made = configure(queue=str(self.directory / "q"), smartHosts=[said])
        host = readHost(made.delivery.smartHosts[0])
        return await self.answer(lambda: checkSmartHosts([host], "relay.example", WAIT))

    async def store(self, listen: Callable[[Factory], Any]) -> Any:
        """
        Start a mail store.
        """
        port = listen(Factory.forProtocol(Store))
        self.addCleanup(port.stopListening)
        return port

    async def test_lmtp(self) -> None:
        """
        A mail store is greeted as one, on the network or by its socket.
        """
        reactor: Any
        from twisted.internet import reactor

        port = await self.store(
            lambda factory: reactor.listenTCP(0, factory, interface="127.0.0.1")
        )
        found = await self.look(f"lmtp://127.0.0.1:{port.getHost().port}")
        self.assertAnswer(found, Verdict.OK, "was reached in clear; no user is named")
        path = str(shortDirectory(self) / "lmtp")
        await self.store(lambda factory: reactor.listenUNIX(path, factory))
        found = await self.look(f"lmtp+unix://{path}")
        self.assertAnswer(found, Verdict.OK, f"{path} was reached over its socket")

    async def test_noSocket(self) -> None:
        """
        A socket that is not there is told of.
        """
        found = await self.look("lmtp+unix:///nowhere/lmtp")
        self.assertAnswer(found, Verdict.FAILURE, "tried to reach the socket /nowhere")
        self.assertIn("the mail store runs", found.remedy)

    def wantingTokens(self, server: SMTPServer) -> dict[str, Any]:
        """
        Describe a smart host that wants tokens.
        """
        return {
            "url": f"smtp+starttls://127.0.0.1:{server.port}",
            "user": USER,
            "ca-file": self.caPath,
            "oauth2": {
                "token-url": "https://login.example/token",
                "client-id": "4711",
                "client-secret-file": str(self.password),
            },
        }

    async def test_tokens(self) -> None:
        """
        No token is asked for: it is only seen whether one would be taken.
        """
        server = self.start(users={}, keywords=("AUTH PLAIN XOAUTH2",))
        found = await self.look(self.wantingTokens(server))
        self.assertAnswer(found, Verdict.OK, "over TLS, and takes tokens")
        self.assertIn("relaymail auth test", found.found)
        server = self.start()
        found = await self.look(self.wantingTokens(server))
        self.assertAnswer(found, Verdict.FAILURE, "but takes no tokens")

    async def test_otherMechanisms(self) -> None:
        """
        A password is not tried by what is not known here.
        """
        server = self.start(users={}, keywords=("AUTH SCRAM-SHA-256",))
        found = await self.login(server, "smtp+starttls", f"&ca-file={self.caPath}")
        self.assertAnswer(found, Verdict.OK, "SCRAM-SHA-256, none of which is tried")
        server = self.start(users={}, keywords=())
        found = await self.login(server, "smtp+starttls", f"&ca-file={self.caPath}")
        self.assertIs(found.verdict, Verdict.FAILURE)

    async def test_starttls(self) -> None:
        """
        A host that takes the password over TLS with a certificate that is trusted
        is well.  No mail is sent.
        """
        server = self.start()
        found = await self.login(server, "smtp+starttls", f"&ca-file={self.caPath}")
        self.assertAnswer(found, Verdict.OK, f"the password of {USER} over TLS")
        self.assertEqual(server.received, [])

    async def test_implicitTLS(self) -> None:
        """
        The same for one that speaks TLS from the start.
        """
        server = self.start(implicitTLS=True)
        found = await self.login(server, "smtps", f"&ca-file={self.caPath}")
        self.assertAnswer(found, Verdict.OK, "over TLS")

    async def test_A09_wrongPassword(self) -> None:
        """
        A password that is refused is told of with what the host said, and is not
        shown, whatever that is.
        """
        login = b64encode(PASSWORD.encode()).decode()
        plain = b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
        said = f"535 5.7.8 not {PASSWORD} nor {login} nor {plain}"
        server = self.start(answers={"AUTH": said})
        found = await self.login(server, "smtp+starttls", f"&ca-file={self.caPath}")
        self.assertAnswer(found, Verdict.FAILURE, "refused the password of me: 535")
        self.assertIn("not … nor … nor …", found.found)

    async def test_A02_unverified(self) -> None:
        """
        A host that need not show who it is gets no password, as from the relay,
        unless that is said.
        """
        server = self.start()
        found = await self.login(server, "smtp+starttls", "&tls=encrypted")
        self.assertAnswer(found, Verdict.FAILURE, "gets no password")
        heard = [line for session in server.sessions for line in session.commands]
        self.assertEqual([line for line in heard if line.startswith("AUTH")], [])
        found = await self.login(server, "smtp+starttls", "&tls=encrypted&auth=clear")
        self.assertAnswer(found, Verdict.OK, "over TLS")

    async def test_strangeCertificate(self) -> None:
        """
        A certificate that is not trusted gets no password.
        """
        server = self.start()
        found = await self.login(server, "smtp+starttls")
        self.assertAnswer(found, Verdict.FAILURE, "is not valid for it")
        heard = [line for session in server.sessions for line in session.commands]
        self.assertEqual([line for line in heard if line.startswith("AUTH")], [])

    async def test_A02_noTLS(self) -> None:
        """
        A host without TLS gets no password, unless that is said.
        """
        server = self.start(contextFactory=None)
        found = await self.login(server, "smtp+starttls")
        self.assertAnswer(found, Verdict.FAILURE, "offers no STARTTLS, and must")
        found = await self.login(server, "smtp", "&auth=clear")
        self.assertAnswer(found, Verdict.WARNING, "in clear")

    async def test_silent(self) -> None:
        """
        A host that says nothing is given up.
        """
        server = self.startServer({"CONNECT": Act.SILENCE})
        found = await self.login(server, "smtp", "&auth=clear")
        self.assertAnswer(found, Verdict.FAILURE, "timed out")

    async def test_nobody(self) -> None:
        """
        A port that nobody listens on is told of.
        """
        server = self.start()
        await server.stop()
        found = await self.login(server, "smtps")
        self.assertAnswer(found, Verdict.FAILURE, "Connection refused")


class NetworkTests(DoctorTestCase):
    """
    Tests for names and the port of mail.
    """

    def make(self, zones: Any, **more: Any) -> Network:
        """
        Make a network with a name server.
        """
        server = self.startDNS(zones)
        askers = [Asker(("127.0.0.1", server.port))]
        usual = {"hostname": "relay.example", "domain": "one.example"}
        return Network(askers, **{**usual, **more})

    async def test_reached(self) -> None:
        """
        A name server that answers, and a host that greets, are well.
        """
        host = self.startServer()
        network = self.make(exchange(("mx.one.example", "127.0.0.1")), port=host.port)
        found = await self.answer(network.checkResolver)
        self.assertAnswer(found, Verdict.OK, "answered within")
        found = await self.answer(network.checkPort)
        self.assertAnswer(found, Verdict.OK, f"127.0.0.1 port {host.port} answered")

    async def test_D01_serverFailure(self) -> None:
        """
        A name server that cannot find out is a failure.
        """
        network = self.make({"one.example": {"MX": Fault.SERVFAIL}})
        found = await self.answer(network.checkResolver)
        self.assertAnswer(found, Verdict.FAILURE, "SERVFAIL")

    async def test_refused(self) -> None:
        """
        A host that nobody listens on is a failure.
        """
        host = self.startServer()
        await host.stop()
        network = self.make(exchange(("mx.one.example", "127.0.0.1")), port=host.port)
        found = await self.answer(network.checkPort)
        self.assertAnswer(found, Verdict.FAILURE, "Connection refused")
