# -*- test-case-name: relaymail.test.admin.test_requests -*-
"""
Tests for L{relaymail.admin.requests}: how a request is judged and answered.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from relaymail.admin.guarding import MAX_BODY
from relaymail.admin.operations import OPERATIONS
from relaymail.test.admin.worlds import API, TOKEN, Connection, readAnswers, request

MESSAGES = "/v1/messages?sender=&recipient=b@example.org"


class AnswerTests(SynchronousTestCase):
    """
    How it is answered.
    """

    def setUp(self) -> None:
        self.api = API()

    def test_headers(self) -> None:
        """
        Every answer is for who asked, and says what it is.
        """
        for answer in (
            self.api.get("/v1/status"),
            self.api.get("/v1/nothing"),
            self.api.get("/health"),
            self.api.post("/v1/queue/flush"),
        ):
            self.assertEqual(answer.headers["Cache-Control"], "no-store")
            self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
            self.assertEqual(answer.headers["Content-Type"], "application/json")
            self.assertIsNone(answer.headers["Server"])

    def test_head(self) -> None:
        """
        HEAD is answered as GET is, without the body.
        """
        head, get = self.api.get("/health", method="HEAD"), self.api.get("/health")
        self.assertEqual((head.status, head.body), (200, b""))
        self.assertEqual(head.headers["Content-Length"], get.headers["Content-Length"])

    def test_options(self) -> None:
        """
        OPTIONS says what a path takes, without a token.
        """
        api = self.api.withToken()
        for path, allowed in (
            ("/v1/status", "GET, HEAD, OPTIONS"),
            ("/v1/reload", "POST, OPTIONS"),
            ("/v1/queue/flush", "GET, POST, HEAD, OPTIONS"),
        ):
            answer = api.get(path, method="OPTIONS")
            self.assertEqual((answer.status, answer.body), (204, b""))
            self.assertEqual(answer.headers["Allow"], allowed)
        self.assertEqual(api.get("/v1/nothing", method="OPTIONS").status, 401)

    def test_method(self) -> None:
        """
        Another method is refused, with those that there are.
        """
        for method, path in (
            ("DELETE", "/v1/queue/7"),
            ("GET", "/v1/reload"),
            ("get", "/v1/status"),
            ("TRACE", "/health"),
        ):
            answer = self.api.get(path, method=method)
            self.assertEqual(answer.status, 405, path)
            self.assertIn("OPTIONS", answer.headers["Allow"])
            self.assertIn("takes", answer.document["error"])

    def test_nothing(self) -> None:
        """
        What is not there is not found.
        """
        for path in ("/", "/v1", "/v1/", "//", "/v1/queue/7/more", "/%2e%2e/etc", "*"):
            self.assertEqual(self.api.get(path).status, 404, path)

    def test_origin(self) -> None:
        """
        A page that may ask may read the answer; another may not even ask.
        """
        self.api.rules = type(self.api.rules)(
            origins=frozenset(("https://mail.example.com",))
        )
        answer = self.api.get("/health", Origin="https://mail.example.com")
        self.assertEqual(answer.status, 200)
        self.assertEqual(
            answer.headers["Access-Control-Allow-Origin"], "https://mail.example.com"
        )
        self.assertEqual(answer.headers["Vary"], "Origin")
        asked = self.api.get(
            "/v1/reload", method="OPTIONS", Origin="https://mail.example.com"
        )
        self.assertEqual(asked.headers["Access-Control-Allow-Methods"], "POST, OPTIONS")
        refused = self.api.get("/health", Origin="https://evil.example")
        self.assertEqual(refused.status, 403)
        self.assertIsNone(refused.headers["Access-Control-Allow-Origin"])

    def test_token(self) -> None:
        """
        Everything but health and readiness needs the token.
        """
        api = self.api.withToken()
        for operation in OPERATIONS:
            path = operation.path.replace("{id}", "1").replace("{name}", "a.example")
            if operation.path in ("/health", "/ready"):
                self.assertTrue(operation.isOpen)
                self.assertEqual(api.get(path).status, 200)
                continue
            answer = api.ask(operation.method, path, b"")
            self.assertEqual(answer.status, 401, path)
            self.assertEqual(
                answer.headers["WWW-Authenticate"], 'Bearer realm="relaymail"'
            )
        answer = api.get("/v1/status", Authorization=f"Bearer {TOKEN.decode()}")
        self.assertEqual(answer.status, 200)

    def test_strangersAreNotTold(self) -> None:
        """
        Without a token nobody learns what there is.
        """
        api = self.api.withToken()
        answers = {
            api.get(path).body for path in ("/v1/status", "/nothing", "/v1/reload")
        }
        self.assertEqual(len(answers), 1)

    def test_parameters(self) -> None:
        """
        What cannot be read is refused before anything is done.
        """
        for path in (
            "/v1/queue?limit=0",
            "/v1/queue?lmit=1",
            "/v1/queue?state=x&id=%FF",
        ):
            answer = self.api.get(path)
            self.assertEqual(answer.status, 400)
            self.assertEqual(list(answer.document), ["error"])

    def test_A09_unexpected(self) -> None:
        """
        What nobody expects is answered with one sentence; the log has the rest,
        and the token is in neither.
        """
        api = self.api.withToken()
        self.patch(api.relay.queue, "totals", lambda: 1 / 0)
        answer = api.get("/v1/status", Authorization=f"Bearer {TOKEN.decode()}")
        self.assertEqual(answer.status, 500)
        self.assertEqual(
            answer.document, {"error": "The relay could not do this; its log says why."}
        )
        logged = self.flushLoggedErrors(ZeroDivisionError)
        self.assertEqual(len(logged), 1)
        self.assertNotIn(TOKEN.decode(), logged[0].getTraceback())

    def test_goneMeanwhile(self) -> None:
        """
        Who does not wait for the answer gets none, and nothing fails.
        """
        waiting: Deferred[Any] = Deferred()
        self.patch(self.api.relay.queue, "totals", lambda: waiting)
        connection = Connection(self.api)
        connection.give(request("GET", "/v1/status"))
        connection.channel.connectionLost(None)
        waiting.callback({})
        self.assertEqual(connection.sent, b"")

    def test_A03_nothingComesBackRaw(self) -> None:
        """
        What was asked for comes back printable.
        """
        for path in (
            "/v1/queue/%1B%5B31m%0D%0ASet-Cookie:x",
            "/v1/queue?sender%1B%0A=1",
            "/v1/queue?state=%3Cscript%3E%1B",
            "/v1/explain?recipient=%1B%5B2J%0A@x",
            "/v1/destinations/%1B%0A/suspend",
        ):
            for answer in (self.api.get(path), self.api.post(path)):
                self.assertTrue(answer.body.decode().rstrip("\n").isprintable())
                if "error" in answer.document:
                    self.assertTrue(answer.document["error"].isprintable())
                self.assertIsNone(answer.headers["Set-Cookie"])


class BodyTests(SynchronousTestCase):
    """
    What is sent along.
    """

    def setUp(self) -> None:
        self.api = API()
        self.connection = Connection(self.api)

    def test_json(self) -> None:
        """
        What changes something takes JSON only.
        """
        for kind in ("text/plain", "application/x-www-form-urlencoded", None):
            answer = self.api.ask(
                "POST",
                "/v1/queue/flush",
                b'{"all": true}',
                Content_Type=kind,  # type: ignore[arg-type]
            )
            self.assertEqual(answer.status, 415)
        answer = self.api.ask(
            "POST", "/v1/queue/flush", b"all", Content_Type="application/json"
        )
        self.assertEqual(answer.status, 400)
        self.assertEqual(answer.document, {"error": "The body is not a JSON object."})

    def test_A05_tooLargeIsNotRead(self) -> None:
        """
        What is too large is refused when its length is known, before any of it
        came, and nothing of it is kept.
        """
        self.connection.give(
            request(
                "POST",
                "/v1/queue/flush",
                Content_Type="application/json",
                Content_Length=str(MAX_BODY + 1),
                Expect="100-continue",
            )
        )
        (answer,) = readAnswers(self.connection.sent, "POST")
        self.assertEqual(answer.status, 413)
        self.assertEqual(answer.headers["Connection"], "close")
        sent = self.connection.sent
        for _ in range(100):
            self.connection.give(b"x" * 65536)
        self.assertEqual(self.connection.sent, sent)
        self.assertFalse(self.connection.transport.disconnected)
        self.api.relay.world.run(2)
        self.assertTrue(self.connection.transport.disconnected)

    def test_refusedBeforeItIsRead(self) -> None:
        """
        Who may not ask is told so before anything was read.
        """
        cases: tuple[tuple[str, int, dict[str, Any]], ...] = (
            ("/v1/nothing", 404, {}),
            (MESSAGES, 415, {"Content_Type": "text/plain"}),
            (MESSAGES, 403, {"Origin": "https://evil.example"}),
            (MESSAGES, 421, {"Host": "evil.example"}),
            ("/v1/status", 405, {}),
        )
        for path, status, headers in cases:
            connection = Connection(self.api)
            connection.give(request("POST", path, Content_Length="1000000", **headers))
            (answer,) = readAnswers(connection.sent, "POST")
            self.assertEqual(answer.status, status)

    def test_A05_chunksAreCounted(self) -> None:
        """
        What does not say how long it is is refused as soon as it is too long.
        """
        self.connection.give(
            request(
                "POST",
                "/v1/queue/flush",
                Content_Type="application/json",
                Transfer_Encoding="chunked",
            )
        )
        chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
        for _ in range(4):
            self.connection.give(chunk)
        self.assertEqual(self.connection.sent, b"")
        self.connection.give(chunk + chunk)
        (answer,) = readAnswers(self.connection.sent, "POST")
        self.assertEqual(answer.status, 413)
        sent = self.connection.sent
        self.connection.give(chunk * 10 + b"0\r\n\r\n" + request("GET", "/health"))
        self.assertEqual(self.connection.sent, sent)

    def test_chunked(self) -> None:
        """
        What does not say how long it is is taken where it is short.
        """
        self.connection.give(
            request(
                "POST",
                "/v1/queue/flush",
                Content_Type="application/json",
                Transfer_Encoding="chunked",
            )
            + b'd\r\n{"all": true}\r\n0\r\n\r\n'
        )
        (answer,) = readAnswers(self.connection.sent, "POST")
        self.assertEqual((answer.status, answer.document["matched"]), (200, 0))

    def test_A05_message(self) -> None:
        """
        A message may be as large as any that is taken.
        """
        size = self.api.relay.intake.limits.messageSize
        for length, taken in ((size, True), (size + 1, False)):
            connection = Connection(self.api)
            connection.give(
                request(
                    "POST",
                    MESSAGES,
                    Content_Type="message/rfc822",
                    Content_Length=str(length),
                )
            )
            self.assertEqual(connection.sent == b"", taken)
            connection.channel.connectionLost(None)

    def test_expected(self) -> None:
        """
        Who waits to be told so is told to go on.
        """
        self.connection.give(
            request(
                "POST",
                "/v1/queue/flush",
                Content_Type="application/json",
                Content_Length="2",
                Expect="100-continue",
            )
        )
        self.assertEqual(self.connection.sent, b"HTTP/1.1 100 Continue\r\n\r\n")
        self.connection.transport.clear()
        self.connection.give(b"{}")
        (answer,) = readAnswers(self.connection.sent, "POST")
        self.assertEqual(answer.status, 400)
        self.assertIn("all", json.dumps(answer.document))
