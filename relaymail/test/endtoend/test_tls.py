# -*- test-case-name: relaymail.test.endtoend.test_tls -*-
"""
Tests for TLS and passwords, with certificates of our own.
"""

from __future__ import annotations

import os
import smtplib
import socket
import ssl
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.internet.threads import deferToThread

from relaymail.certificates import loadTLS
from relaymail.route.hosts import Host, TLSNeed
from relaymail.route.tlssessions import TLSSessions
from relaymail.test.certificates import writeCertificate
from relaymail.test.endtoend.harness import (
    CLIENT_PATIENCE,
    MESSAGE,
    RECIPIENT,
    SENDER,
    SOON,
    EndToEndTestCase,
    exchange,
    submit,
)
from relaymail.test.endtoend.processes import entriesOf, until
from relaymail.testing.certificates import Purpose, ThrowawayCA
from relaymail.testing.servers import KEYWORDS, SMTPServer

USER, PASSWORD = "me", "correct horse"


class SmartHostTests(EndToEndTestCase):
    """
    A smart host that wants TLS and a password.
    """

    def setUp(self) -> None:
        """
        Make an authority, and keep the password in a file.
        """
        super().setUp()
        self.directory.mkdir(parents=True)
        self.authority = ThrowawayCA()
        self.caPath = self.authority.write(self.directory)
        self.password = self.directory / "password"
        self.password.write_text(f"{PASSWORD}\n")

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

    def url(self, scheme: str, server: SMTPServer, more: str = "") -> str:
        """
        Describe a smart host.
        """
        more = more or f"&ca-file={self.caPath}"
        return f"{scheme}://{USER}@{server.address}?password-file={self.password}{more}"

    async def arrives(self, scheme: str, server: SMTPServer) -> None:
        """
        Check that a message arrives over TLS, from the user.
        """
        relay = self.startRelay(smartHosts=[self.url(scheme, server)])
        await submit(self.portOf(relay))
        (received,) = await server.whenReceived(1)
        self.assertContents([received])
        self.assertTrue(received.session.isTLS)
        self.assertEqual(received.session.user, USER)
        await until(lambda: not relay.queue.getRelayed(), "it is settled")
        (line,) = self.lines("delivered id=")
        self.assertIn(" tls=TLSv1.", line)

    async def keepsMail(self, *urls: str, tries: int = 2) -> None:
        """
        Check that a message is tried again and again, and does not bounce.
        """
        relay = self.startRelay(smartHosts=urls, retry=SOON)
        await submit(self.portOf(relay))
        await until(lambda: len(self.lines("retry id=")) >= tries, "it was tried again")
        self.assertEqual(self.lines("bounced id="), [])
        self.assertEqual(len(entriesOf(self.directory / "spool")), 1)

    def lines(self, words: str) -> list[str]:
        """
        Give the lines of the log that begin with some words.
        """
        return [line for line in self.logged() if line.startswith(words)]

    async def test_starttls(self) -> None:
        """
        C{smtp+starttls://} gives the password over TLS.
        """
        server = self.start()
        await self.arrives("smtp+starttls", server)
        commands = [line.split()[0] for line in server.sessions[0].commands]
        self.assertEqual(commands[:4], ["EHLO", "STARTTLS", "EHLO", "AUTH"])

    async def test_smtps(self) -> None:
        """
        C{smtps://} speaks TLS from the first byte.
        """
        await self.arrives("smtps", self.start(implicitTLS=True))

    async def test_twistd(self) -> None:
        """
        The same as a process; the password is in no log (A09).
        """
        server = self.start()
        twistd = self.makeTwistd("--smarthost", self.url("smtp+starttls", server))
        await twistd.start()
        await submit(twistd.port)
        (received,) = await server.whenReceived(1)
        self.assertEqual(received.session.user, USER)
        await until(lambda: not twistd.entries(), "it is settled")
        await twistd.terminate()
        self.assertNotIn(PASSWORD, twistd.log + twistd.errors)

    async def test_D11_A09_wrongPassword(self) -> None:
        """
        Where our password is wrong the mail waits: it is the operator's
        trouble, not the sender's. The password is not in the log.
        """
        self.password.write_text("wrong mule")
        server = self.start()
        await self.keepsMail(self.url("smtp+starttls", server))
        self.assertEqual(server.received, [])
        self.assertNotIn("wrong mule", "\n".join(self.logged()))

    async def test_D09_A02_unknownAuthority(self) -> None:
        """
        A certificate that nobody vouches for gets neither password nor mail.
        """
        server = self.start()
        await self.keepsMail(self.url("smtp+starttls", server, more="&tls=verified"))
        self.assertEqual([s.user for s in server.sessions if s.user], [])
        self.assertNotIn("AUTH", str([s.commands for s in server.sessions]))

    async def test_D09_A02_notOffered(self) -> None:
        """
        A smart host that offers no STARTTLS gets neither password nor mail.
        """
        server = self.start(contextFactory=None)
        await self.keepsMail(self.url("smtp+starttls", server))
        self.assertEqual(server.received, [])
        self.assertNotIn("AUTH", str([s.commands for s in server.sessions]))

    async def test_D09_A02_promiseNotKept(self) -> None:
        """
        A smart host whose TLS fails gets neither password nor mail.
        """
        server = self.start(contextFactory=None, keywords=[*KEYWORDS, "STARTTLS"])
        await self.keepsMail(self.url("smtp+starttls", server))
        self.assertEqual(server.received, [])
        self.assertNotIn("AUTH", str([s.commands for s in server.sessions]))


class OpportunisticTests(EndToEndTestCase):
    """
    A mail exchange host is spoken to over TLS where it offers it.
    """

    async def deliver(self, server: SMTPServer) -> None:
        """
        Send a message to the one host of a domain, in one attempt.
        """
        dns = self.startDNS(exchange(("mx.one.example", "127.0.0.1")))
        relay = self.startRelay(dns=dns.address, mxPort=server.port)
        await submit(self.portOf(relay))
        await server.whenReceived(1)
        await until(lambda: not relay.queue.getRelayed(), "it is settled")
        self.assertContents(server.received)
        self.assertEqual(
            [line for line in self.logged() if line.startswith("retry id=")], []
        )

    async def test_anyCertificate(self) -> None:
        """
        Any certificate is better than none (RFC 7435).
        """
        context = loadTLS(*writeCertificate(self.directory, "other.example"))
        server = self.startServer(contextFactory=context)
        await self.deliver(server)
        self.assertTrue(server.received[0].session.isTLS)

    async def test_D09_handshakeFails(self) -> None:
        """
        Where the handshake fails, the mail goes in clear over a new connection.
        """
        server = self.startServer(keywords=[*KEYWORDS, "STARTTLS"])
        await self.deliver(server)
        first, second = server.sessions
        self.assertEqual(first.commands[-1], "STARTTLS")
        self.assertNotIn("STARTTLS", second.commands)
        self.assertIs(server.received[0].session, second)

    async def test_D09_refused(self) -> None:
        """
        Where STARTTLS is refused, the mail goes in clear.
        """
        context = loadTLS(*writeCertificate(self.directory, "mx.one.example"))
        server = self.startServer(
            {"STARTTLS": "454 4.7.0 Not now"}, contextFactory=context
        )
        await self.deliver(server)
        self.assertFalse(server.received[0].session.isTLS)


class IntakeTests(EndToEndTestCase):
    """
    The relay's own STARTTLS.
    """

    async def test_starttls(self) -> None:
        """
        With a key and a certificate, clients may give their mail over TLS.
        """
        key, cert = writeCertificate(self.directory, "127.0.0.1")
        server = self.startServer()
        twistd = self.makeTwistd(
            *("--smarthost", server.address, "--tls-key", key, "--tls-cert", cert)
        )
        await twistd.start()
        versions = await deferToThread(self.send, twistd.port)
        self.assertEqual(versions[:4], "TLSv")
        (received,) = await server.whenReceived(1)
        self.assertContents([received])
        trace = received.content.partition(b"\r\nFrom:")[0]
        self.assertIn(b" with ESMTPS", trace)

    def send(self, port: int) -> str:
        """
        Give a relay a message over TLS.

        @return: The version of TLS.
        """
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with smtplib.SMTP("127.0.0.1", port, timeout=CLIENT_PATIENCE) as client:
            client.starttls(context=context)
            client.ehlo()
            assert not client.has_extn("starttls")
            client.sendmail(SENDER, [RECIPIENT], MESSAGE)
            assert isinstance(client.sock, ssl.SSLSocket)
            return client.sock.version() or ""

    async def test_replacedCertificate(self) -> None:
        """
        A certificate that replaced the one before is shown to who connects then, by
        STARTTLS and on the port for submissions, without restart and reload; one that
        cannot be used is not, and the log says so.
        """
        authority = ThrowawayCA()
        first = authority.issue("127.0.0.1")
        key, cert = first.write(self.directory)
        users = self.directory / "users"
        users.write_text("")
        relay = self.startRelay(
            smartHosts=[self.startServer().address],
            tlsKey=key,
            tlsCert=cert,
            submissions="tcp:port=0:interface=127.0.0.1",
            users=str(users),
        )
        ports = [address.port for address in relay.addresses]

        async def shown() -> list[bytes]:
            return [
                await deferToThread(certificateByStartTLS, ports[0]),
                await deferToThread(certificateOf, ports[1]),
            ]

        self.assertEqual(await shown(), [first.certificateDER] * 2)
        second = authority.issue("127.0.0.1")
        newKey, newCert = second.write(self.directory / "new")
        os.replace(newKey, key)
        self.assertEqual(await shown(), [first.certificateDER] * 2)
        os.replace(newCert, cert)
        self.assertEqual(await shown(), [second.certificateDER] * 2)
        told = [line for line in self.logged() if "certificate" in line]
        self.assertEqual(len(told), 2, told)


def certificateByStartTLS(port: int) -> bytes:
    """
    Give the certificate that a server shows after STARTTLS, DER.
    """
    with smtplib.SMTP("127.0.0.1", port, timeout=CLIENT_PATIENCE) as client:
        client.starttls(context=_unverifying())
        assert isinstance(client.sock, ssl.SSLSocket)
        return client.sock.getpeercert(binary_form=True) or b""


def certificateOf(port: int) -> bytes:
    """
    Give the certificate that a server shows at once, DER.
    """
    place = "127.0.0.1", port
    with (
        socket.create_connection(place, timeout=CLIENT_PATIENCE) as plain,
        _unverifying().wrap_socket(plain) as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


def _isOne(sessions: TLSSessions) -> bool:
    return len(sessions) == 1


def _unverifying() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class NeedTests(EndToEndTestCase):
    """
    Hosts that are to be known, over real connections.
    """

    def setUp(self) -> None:
        """
        Make an authority.
        """
        super().setUp()
        self.directory.mkdir(parents=True)
        self.authority = ThrowawayCA()
        self.caFile = self.authority.write(self.directory)
        self.certificate = self.authority.issue("127.0.0.1")

    def host(self, server: SMTPServer, need: TLSNeed, **more: Any) -> Host:
        """
        Say what a host is to be known by.
        """
        return Host(
            "127.0.0.1",
            server.port,
            need,
            named=True,
            caFile=self.caFile,
            tlsa=(self.certificate.tlsa(3, 1, 1),),
            **more,
        )

    async def test_resumed(self) -> None:
        """
        Connection after connection takes up the session of the one before, for every
        need, by STARTTLS and without.
        """
        for need in (TLSNeed.ENCRYPTED, TLSNeed.VERIFIED, TLSNeed.DANE):
            for implicit in (False, True):
                options = self.certificate.serving(enableSessionTickets=True)
                options.getContext().set_session_id(b"a test")
                server = self.startServer(contextFactory=options, implicitTLS=implicit)
                host = self.host(server, need, implicitTLS=implicit)
                self.directory = self.directory / "next"
                self.directory.mkdir()
                relay = self.startRelay(smartHosts=[host])
                relay.manager.idleTimeout = 0
                sessions = relay.manager.tlsSessions
                offered: list[bool] = []
                take = sessions.take

                def note(*args: Any, take: Any = take, offered: Any = offered) -> Any:
                    found = take(*args)
                    offered.append(found is not None)
                    return found

                sessions.take = note
                for count in (1, 2, 3):
                    await submit(self.portOf(relay))
                    await server.whenReceived(count)
                    await until(partial(_isOne, sessions), "the session is kept")
                self.assertEqual(offered, [False, True, True], host)
                self.assertEqual(len(server.sessions), 3)

    async def test_D09_A02_notTheHost(self) -> None:
        """
        To a host whose TLSA records name another nothing is said under TLS.
        """
        strange = (self.authority.issue("127.0.0.1").tlsa(3, 1, 1),)
        for implicit in (False, True):
            server = self.startServer(
                contextFactory=self.certificate.contextFactory, implicitTLS=implicit
            )
            host = self.host(server, TLSNeed.DANE, implicitTLS=implicit)
            self.directory = self.directory / "next"
            self.directory.mkdir()
            relay = self.startRelay(
                smartHosts=[replace(host, tlsa=strange)], retry=SOON
            )
            self.events.clear()
            await submit(self.portOf(relay))
            await until(
                lambda: (
                    len([x for x in self.logged() if x.startswith("retry id=")]) > 1
                ),
                "it was tried again",
            )
            heard = [c for session in server.sessions for c in session.commands]
            wanted = set() if implicit else {"EHLO", "STARTTLS"}
            self.assertEqual({command.split()[0] for command in heard}, wanted)
            for session in server.sessions:
                self.assertLessEqual(len(session.commands), 2)
            (line, *_) = [x for x in self.logged() if x.startswith("retry id=")]
            self.assertIn("TLSA records name none", line)

    async def test_clientCertificate(self) -> None:
        """
        A host that wants a certificate of this relay gets it, as it is now.
        """
        server = self.startServer(
            contextFactory=self.certificate.serving(clients=self.authority)
        )
        own = self.authority.issue("relay.example.com", purpose=Purpose.CLIENT)
        key, cert = own.write(self.directory / "own")
        relay = self.startRelay(
            smartHosts=[
                f"smtp+starttls://{server.address}?ca-file={self.caFile}"
                f"&client-cert={cert}&client-key={key}"
            ]
        )
        await submit(self.portOf(relay))
        (received,) = await server.whenReceived(1)
        self.assertTrue(received.session.isTLS)
