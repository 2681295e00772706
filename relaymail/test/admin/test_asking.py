# -*- test-case-name: relaymail.test.admin.test_asking -*-
"""
Tests for L{relaymail.admin.asking} and L{relaymail.admin.desk}: what is asked of
the relay.
"""

from __future__ import annotations

from types import SimpleNamespace

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from relaymail import __version__
from relaymail.envelopes import Entrance
from relaymail.errors import ConfigurationError, QueueFull, QueueUnusable
from relaymail.inspection import AGE_BOUNDS, AGE_GROUPS, NameState
from relaymail.intake.entrances import Opening
from relaymail.siren import Siren
from relaymail.test.admin.test_views import texts
from relaymail.test.admin.worlds import API
from relaymail.testing import Act


class StatusTests(SynchronousTestCase):
    """
    How the relay is.
    """

    def setUp(self) -> None:
        self.api = API()
        self.relay = self.api.relay

    def test_status(self) -> None:
        """
        The status says who the relay is, how it is, and what it has.
        """
        self.relay.started = self.api.clock.seconds() - 100
        self.relay.addresses = [
            IPv4Address("TCP", "192.0.2.1", 25),
            IPv6Address("TCP", "::1", 2525),
            UNIXAddress("/run/mail"),
        ]
        self.relay.openings = [
            Opening("tcp:25"),
            Opening("tcp6:2525", Entrance.SUBMISSION, True),
            Opening("unix:/run/mail", Entrance.LMTP),
        ]
        self.relay.configuration.file = "/etc/relaymail/relaymail.toml"
        self.relay.queue.counted = {"accepted": 7, "delivered": 5}
        self.relay.put("a@example.com", "b@example.org", "c@example.org")
        self.assertEqual(
            self.api.get("/v1/status").document,
            {
                "version": __version__,
                "hostname": "relay.example.com",
                "queue": "spool:queue.db",
                "started": self.relay.started,
                "uptime": 100,
                "addresses": ["192.0.2.1:25", "[::1]:2525", "/run/mail"],
                "entrances": ["smtp", "submissions", "lmtp"],
                "state": "running",
                "trouble": "",
                "alarms": [],
                "dnssec": None,
                "policies": {},
                "configuration": "/etc/relaymail/relaymail.toml",
                "connections": {"in": 3, "out": 0},
                "queued": 2,
                "totals": {"accepted": 7, "delivered": 5},
            },
        )

    def test_D11_alarms(self) -> None:
        """
        The status tells the alarms; the relay is ready all the same, for it takes
        mail.
        """
        self.relay.siren = siren = Siren()
        siren.start(self.api.clock)
        self.addCleanup(siren.stop)
        siren.tell("auth:me@smtp.example.net", "535 \x1b[2J no")
        (alarm,) = self.api.get("/v1/status").document["alarms"]
        self.assertEqual(
            alarm,
            {
                "key": "auth:me@smtp.example.net",
                "text": "535  [2J no",
                "since": self.api.clock.seconds(),
            },
        )
        self.assertEqual(self.api.get("/ready").status, 200)

    def test_health(self) -> None:
        """
        A relay that takes mail is alive, and ready.
        """
        for path in ("/health", "/ready"):
            answer = self.api.get(path)
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.document, {"state": "running"})

    def test_notReady(self) -> None:
        """
        A relay that is full, damaged or going down is alive, but not ready.
        """
        for room, state in ((False, "full"), (QueueUnusable("broken"), "damaged")):
            self.relay.queue.room = room
            self.assertEqual(self.api.get("/health").document, {"state": state})
            answer = self.api.get("/ready")
            self.assertEqual(answer.status, 503)
            # Who asks may have no token, and learns nothing of files.
            self.assertEqual(
                answer.document["error"],
                f"The relay is {state}; its status and log say more.",
            )
        self.relay.manager.isStopping = True
        self.assertEqual(self.api.get("/health").status, 200)
        self.assertEqual(self.api.get("/ready").status, 503)

    def test_queueThatCannotBeLookedInto(self) -> None:
        """
        Of a queue that cannot be looked into it is said so.
        """
        self.relay.queue = SimpleNamespace(clock=self.api.clock)
        answer = self.api.get("/v1/queue")
        self.assertEqual(answer.status, 409)
        self.assertIn("cannot be looked into", answer.document["error"])

    def test_openapi(self) -> None:
        """
        The document about the API is to be had from it.
        """
        self.assertEqual(self.api.get("/v1/openapi.json").document["openapi"], "3.1.0")

    def test_reload(self) -> None:
        """
        A reload says what has changed, or what is wrong.
        """
        self.assertEqual(self.api.post("/v1/reload").document, {"changed": ["expire"]})
        self.relay.changed = ConfigurationError("expire is not a duration")
        answer = self.api.post("/v1/reload")
        self.assertEqual(answer.status, 400)
        self.assertEqual(answer.document, {"error": "expire is not a duration."})


class QueueTests(SynchronousTestCase):
    """
    What is queued.
    """

    def setUp(self) -> None:
        self.api = API()
        self.relay = self.api.relay

    def test_list(self) -> None:
        """
        An entry says all that is known of a name.
        """
        (name,) = self.relay.put("a@example.com", "b@example.org")
        arrived = self.api.clock.seconds()
        answer = self.api.get("/v1/queue").document
        self.assertEqual(
            answer,
            {
                "entries": [
                    {
                        "id": name,
                        "message": name,
                        "sender": "a@example.com",
                        "recipient": "b@example.org",
                        "destination": "example.org",
                        "size": 26,
                        "arrived": arrived,
                        "attempts": 0,
                        "due": arrived,
                        "state": "waiting",
                        "status": "",
                        "reply": "",
                        "why": "",
                        "parameters": "",
                        "client": "",
                        "user": "",
                        "released": False,
                    }
                ],
                "next": None,
                "complete": True,
            },
        )

    def test_filters(self) -> None:
        """
        Only what is meant is listed.
        """
        one, two = self.relay.put("a@example.com", "b@example.org", "c@example.net")
        (held,) = self.relay.put("", "d@example.org", state=NameState.HELD)
        for query, found in (
            ("", [one, two, held]),
            ("domain=example.org", [one, held]),
            ("recipient=c@*", [two]),
            ("state=held", [held]),
            (f"id={two}&id={held}", [two, held]),
            ("sender=", [held]),
        ):
            answer = self.api.get(f"/v1/queue?{query}").document
            self.assertEqual([e["id"] for e in answer["entries"]], found, query)

    def test_pages(self) -> None:
        """
        A list goes on where the one before has ended.
        """
        names = self.relay.put("a@example.com", *(f"{n}@example.org" for n in range(5)))
        found: list[str] = []
        after = ""
        for _ in range(3):
            answer = self.api.get(f"/v1/queue?limit=2{after}").document
            found += [entry["id"] for entry in answer["entries"]]
            after = f"&after={answer['next']}"
        self.assertEqual(found, names)
        self.assertIsNone(answer["next"])

    def test_afterNothing(self) -> None:
        """
        A place to go on from that is none is refused.
        """
        answer = self.api.get("/v1/queue?after=nowhere")
        self.assertEqual(answer.status, 400)
        self.assertIn("after is the next of an answer before", answer.body.decode())

    def test_show(self) -> None:
        """
        Of a name are shown how its destination stands, and the header.
        """
        content = b"Subject: hello\r\n\tyou\r\nTo: b\r\n\r\nSecret.\r\n"
        (name,) = self.relay.put("a@example.com", "b@example.org", content=content)
        answer = self.api.get(f"/v1/queue/{name}").document
        self.assertEqual(answer["recipient"], "b@example.org")
        self.assertEqual(answer["header"], "Subject: hello\n you\nTo: b")
        self.assertEqual(
            answer["standing"],
            {"state": "ready", "why": "", "until": None, "allowed": 5},
        )

    def test_noSuchName(self) -> None:
        """
        A name that is nowhere is not found.
        """
        for path in ("/v1/queue/77", "/v1/queue/77/content", "/v1/queue/%FF"):
            self.assertEqual(self.api.get(path).status, 404)
        self.assertEqual(
            self.api.get("/v1/queue/77").document,
            {"error": "There is no '77' in the queue."},
        )

    def test_whatBecameOfIt(self) -> None:
        """
        Of a name that is no longer queued is shown what became of it.
        """
        self.relay.world.host("192.0.2.25")
        self.relay.world.exchange("example.org", {"mx.example.org": "192.0.2.25"})
        self.relay.queue.onWaiting = self.relay.manager.wake
        (name,) = self.relay.put("a@example.com", "b@example.org")
        self.relay.world.run(5)
        answer = self.api.get(f"/v1/queue/{name}").document
        outcome = answer.pop("outcome")
        self.assertEqual(answer, {"id": name, "state": "delivered"})
        self.assertEqual(outcome["recipient"], "b@example.org")
        self.assertEqual(outcome["host"], "mx.example.org")
        self.assertEqual(outcome["address"], "192.0.2.25")
        self.assertTrue(outcome["reply"].startswith("250 "), outcome)
        self.assertTrue(
            outcome["arrived"] <= outcome["time"] <= self.api.clock.seconds()
        )

    def test_content(self) -> None:
        """
        The content of a message is given as it is stored.
        """
        content = b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 20_000
        (name,) = self.relay.put("a@example.com", "b@example.org", content=content)
        answer = self.api.get(f"/v1/queue/{name}/content")
        self.assertEqual(answer.headers["Content-Type"], "message/rfc822")
        self.assertEqual(answer.body, content)
        head = self.api.get(f"/v1/queue/{name}/content", method="HEAD")
        self.assertEqual((head.status, head.body), (200, b""))


class DestinationTests(SynchronousTestCase):
    """
    Where mail goes.
    """

    def setUp(self) -> None:
        self.api = API()
        self.relay = self.api.relay

    def test_list(self) -> None:
        """
        The destinations with the most mail come first, with how they stand.
        """
        self.relay.put(
            "a@example.com", "b@example.net", "c@example.org", "d@example.org"
        )
        answer = self.api.get("/v1/destinations").document
        self.assertEqual(answer["count"], 2)
        self.assertEqual(
            answer["destinations"][0],
            {
                "name": "example.org",
                "queued": 2,
                "resting": 0,
                "held": 0,
                "connections": 0,
                "allowed": 5,
                "state": "ready",
                "why": "",
                "until": None,
            },
        )
        answer = self.api.get("/v1/destinations?limit=1").document
        self.assertEqual(len(answer["destinations"]), 1)
        self.assertEqual(answer["count"], 2)

    def test_connections(self) -> None:
        """
        The connections to a destination are counted.
        """
        self.relay.world.host("192.0.2.25", {"MAIL": Act.SILENCE})
        self.relay.world.exchange("example.org", {"mx.example.org": "192.0.2.25"})
        self.relay.queue.onWaiting = self.relay.manager.wake
        self.relay.put("a@example.com", "b@example.org")
        self.relay.world.run(0)
        self.assertEqual(self.relay.manager.connectionsTo("Example.ORG."), 1)
        self.assertEqual(self.relay.manager.connectionsTo("no domain"), 0)

    def test_suspendAndResume(self) -> None:
        """
        A destination is suspended, with why, and resumed.
        """
        path = "/v1/destinations/Example.ORG"
        answer = self.api.post(f"{path}/suspend", {"why": "it is \x1b[31mmended\n"})
        self.assertEqual(answer.document["name"], "example.org")
        self.assertEqual(answer.document["state"], "suspended")
        self.assertEqual(answer.document["why"], "it is  [31mmended")
        answer = self.api.post(f"{path}/resume")
        self.assertEqual(answer.document["state"], "ready")

    def test_A03_suspendedWhy(self) -> None:
        """
        Why is one printable line wherever it is logged and kept; where nothing is
        said it was the operator.
        """
        given: list[tuple[str, str]] = []
        self.relay.manager.suspend = lambda *two: given.append(two)
        for why in ("\x1b[31mgone\nfake line \u202e", ""):
            self.api.post("/v1/destinations/example.org/suspend", {"why": why})
        self.assertEqual(
            given,
            [("example.org", "[31mgone fake line"), ("example.org", "by the operator")],
        )

    def test_suspendedIsListed(self) -> None:
        """
        What is suspended is listed, though it has no mail.
        """
        self.relay.manager.suspend("example.net")
        self.patch(self.relay.queue, "suspensions", lambda: {"example.net": "why"})
        found = self.api.get("/v1/destinations").document["destinations"]
        self.assertEqual(
            [(d["name"], d["state"]) for d in found], [("example.net", "suspended")]
        )

    def test_flush(self) -> None:
        """
        A destination is flushed, and how many names that were is told where it is
        known.
        """
        flushed: list[str] = []

        def flush(name: str) -> object:
            flushed.append(name)
            return succeed(3)

        self.relay.manager.flush = flush
        answer = self.api.post("/v1/destinations/example.org/flush")
        self.assertEqual(answer.document["flushed"], 3)
        self.assertEqual(flushed, ["example.org"])

    def test_noDomain(self) -> None:
        """
        What is no domain is refused.
        """
        for name in ("no%20domain", "..", "%00"):
            answer = self.api.post(f"/v1/destinations/{name}/suspend")
            self.assertEqual(answer.status, 400, name)


class TopTests(SynchronousTestCase):
    """
    What goes on.
    """

    def test_top(self) -> None:
        """
        The largest destinations come with ages, connections and last replies.
        """
        api = API()
        api.relay.world.host("192.0.2.25", {"RCPT b@example.org": "451 4.7.1 Later"})
        api.relay.world.exchange("example.org", {"mx.example.org": "192.0.2.25"})
        api.relay.queue.onWaiting = api.relay.manager.wake
        api.relay.put("a@example.com", "b@example.org")
        api.relay.world.run(5)
        answer = api.get("/v1/top").document
        self.assertEqual(answer["bounds"], list(AGE_BOUNDS))
        self.assertIs(answer["sampled"], False)
        ages = [1] + [0] * (AGE_GROUPS - 1)
        self.assertEqual(
            answer["rows"],
            [
                {
                    "name": "example.org",
                    "total": 1,
                    "ages": ages,
                    "connections": 0,
                    "state": "ready",
                    "lastReply": "451 4.7.1 Later",
                }
            ],
        )
        self.assertEqual(answer["total"], {"name": "", "total": 1, "ages": ages})
        self.assertEqual(answer["connections"], {"in": 3, "out": 0, "max": 2})
        self.assertEqual(answer["time"], api.clock.seconds())

    def test_rates(self) -> None:
        """
        How fast mail comes and goes is told for the last minute.
        """
        api = API()
        api.get("/v1/top")
        api.relay.queue.counted = {"accepted": 50, "generated": 10}
        counts = api.desk.recent.byDestination["other"]
        counts["delivered"], counts["bounced"], counts["expired"] = 30, 4, 2
        api.relay.world.run(60)
        self.assertEqual(
            api.get("/v1/top").document["rates"],
            {"accepted": 1.0, "delivered": 0.5, "retried": 0.0, "bounced": 0.1},
        )


class SendTests(SynchronousTestCase):
    """
    Messages.
    """

    def setUp(self) -> None:
        self.api = API()

    def test_send(self) -> None:
        """
        A message is taken for all its recipients, and each has a name.
        """
        answer = self.api.ask(
            "POST",
            "/v1/messages?sender=a@example.com&recipient=b@example.org"
            "&recipient=c@example.org",
            b"Subject: x\n\nHello\n",
            Content_Type="message/rfc822",
        )
        self.assertEqual(answer.status, 201)
        names = answer.document["ids"]
        self.assertEqual(len(names), 2)
        letter = self.api.relay.queue.letter(names[1])
        self.assertEqual(letter.recipient, "c@example.org")
        self.assertEqual(letter.file.read(), b"Subject: x\r\n\r\nHello\r\n")

    def test_large(self) -> None:
        """
        A large message is taken, too.
        """
        body = b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 100_000
        answer = self.api.ask(
            "POST",
            "/v1/messages?sender=&recipient=b@example.org",
            body,
            Content_Type="message/rfc822",
        )
        (name,) = answer.document["ids"]
        self.assertEqual(self.api.relay.queue.letter(name).file.read(), body)

    def test_refused(self) -> None:
        """
        What cannot be sent is refused, and nothing is queued.
        """
        for query, why in (
            ("recipient=b@example.org", "sender is missing."),
            ("sender=a@example.com", "recipient is missing."),
            ("sender=a@example.com&recipient=b", "b"),
            ("sender=a%0D%0ADATA@example.com&recipient=b@example.org", "a"),
        ):
            answer = self.api.ask(
                "POST",
                f"/v1/messages?{query}",
                b"Subject: x\n\nHello\n",
                Content_Type="message/rfc822",
            )
            self.assertEqual(answer.status, 400, query)
            self.assertIn(why, answer.document["error"])
        self.assertEqual(self.api.relay.queue.getWaiting(), [])

    def test_full(self) -> None:
        """
        A message for which there is no room is to be sent later.
        """
        self.patch(self.api.relay, "send", lambda *_: fail(QueueFull("no room")))
        answer = self.api.ask(
            "POST",
            "/v1/messages?sender=&recipient=b@example.org",
            b"\r\n",
            Content_Type="message/rfc822",
        )
        self.assertEqual(answer.status, 503)
        self.assertEqual(answer.document, {"error": "no room."})


class HostileTests(SynchronousTestCase):
    """
    Text from outside.
    """

    def test_A03_everywhere(self) -> None:
        """
        What clients, senders and remote hosts say is printable wherever it is
        shown, and nothing of it is taken for anything but text.
        """
        api = API()
        words = "\x1b[31m<script>alert(1)</script>\x07\xe2\x80\xae"
        said = words.encode("latin-1") + b"\xff"
        api.relay.world.host(
            "192.0.2.25",
            {
                "RCPT a@example.org": f"451 4.7.1 {words}",
                "RCPT c@example.org": f"250 {words}",
                ".": f"250 {words}",
            },
        )
        api.relay.world.exchange("example.org", {"mx.example.org": "192.0.2.25"})
        api.relay.queue.onWaiting = api.relay.manager.wake
        content = b"Received: from %b\r\nSubject: %b\r\n\r\nx\r\n" % (said, said)
        kept, done = api.relay.put(
            "s@example.com", "a@example.org", "c@example.org", content=content
        )
        evil = "e\x1b[2J\r\n@exa\x1bmple.net\n"
        (strange,) = api.relay.put(evil, evil, content=content)
        api.relay.world.run(5)
        paths = (
            "/v1/status /v1/queue /v1/destinations /v1/top /metrics "
            f"/v1/queue/{kept} /v1/queue/{done} /v1/queue/{strange}"
        )
        for path in paths.split():
            answer = api.get(path)
            self.assertEqual(answer.status, 200, path)
            self.assertNotIn(b"\x1b", answer.body)
            self.assertNotIn(b"\\u001b", answer.body)
            self.assertNotIn(b"\\u202e", answer.body)
            self.assertNotIn(b"\x07", answer.body)
            if path != "/metrics":
                shown = "\n".join(texts(answer.document)).split("\n")
                self.assertEqual([t for t in shown if not t.isprintable()], [])
        self.assertIn("<script>", api.get("/v1/top").document["rows"][0]["lastReply"])
        self.assertEqual(api.get(f"/v1/queue/{done}").document["state"], "delivered")
        header = api.get(f"/v1/queue/{kept}").document["header"]
        self.assertEqual(len(header.split("\n")), 2)
