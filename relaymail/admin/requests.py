# -*- test-case-name: relaymail.test.admin.test_requests -*-
"""
One request: judged when its headers are there, and answered when its body is.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request

from relaymail.admin.desk import Answer, Desk, Stream, Text, refusalOf
from relaymail.admin.guarding import (
    MAX_BODY,
    Asked,
    Body,
    Refusal,
    Rules,
    bodyRefusal,
    entranceRefusal,
    tooLarge,
)
from relaymail.admin.operations import (
    JSON,
    PATIENCE,
    Match,
    Operation,
    largestBody,
    route,
)
from relaymail.admin.parameters import Place, bodyValues, queryValues, readAll
from relaymail.admin.streaming import FileProducer

#: What every answer says: it is for who asked, and what it says it is.
_ALWAYS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
#: The largest body that is kept in memory, in octets; a larger one is in a file.
_IN_MEMORY = 100_000


class ControlRequest(Request):
    """
    A request.

    @ivar refusal: Why it is refused; L{None}: it is not, as far as is known.
    @ivar patience: How long it may take, in seconds.
    """

    _log = Logger()
    channel: Any
    content: Any
    refusal: Refusal | None = None
    patience = PATIENCE
    _match = Match(None)
    _most = MAX_BODY
    _received = 0
    _isGone = False

    # While it comes in.

    def judge(self, method: bytes, uri: bytes, length: int | None) -> None:
        """
        Judge it, before its body is read.

        @param length: The length of the body; L{None} where that is not said.
        """
        desk: Desk = self.channel.factory.desk
        self._match = found = route(method.decode("latin-1"), uri.partition(b"?")[0])
        operation = found.operation
        isOpen = operation is not None and operation.isOpen
        asked, rules = self._asked(length), self._rules()
        self.refusal = entranceRefusal(
            asked, rules, isOpen or _asksWhatMay(method, found)
        )
        if self.refusal is not None:
            peer = self.channel.getPeer()
            self.channel.factory.turnedAway(self.refusal.error, peer)
            return
        self._allowOrigin(asked)
        if operation is None:
            self.refusal = _methodsOf(method, found) or found.refusal
            return
        self.patience = operation.patience
        self._most = largestBody(operation, desk.largestMessage())
        self.refusal = bodyRefusal(asked, operation.body, self._most)

    def _asked(self, length: int | None) -> Asked:
        def values(name: str) -> list[bytes]:
            return list(self.requestHeaders.getRawHeaders(name.encode("ascii"), []))

        return Asked(
            values("Host"),
            values("Origin"),
            values("Authorization"),
            values("Content-Type"),
            length,
        )

    def _rules(self) -> Rules:
        rules: Rules = self.channel.factory.rulesFor(self.channel.getHost())
        return rules

    def _allowOrigin(self, asked: Asked) -> None:
        """
        Let a page that may ask read the answer (the Fetch standard, 3.3).
        """
        if not asked.origins:
            return
        for name, value in (
            (b"Access-Control-Allow-Origin", asked.origins[0]),
            (b"Access-Control-Allow-Headers", b"Authorization, Content-Type"),
            (b"Access-Control-Allow-Methods", ", ".join(self._match.allowed).encode()),
            (b"Vary", b"Origin"),
        ):
            self.setHeader(name, value)

    def gotLength(self, length: int | None) -> None:
        """
        Prepare for the body.
        """
        if self.refusal is not None:
            self.content = io.BytesIO()
            return
        small = length is not None and length < _IN_MEMORY
        super().gotLength(length if small else None)

    def handleContentChunk(self, data: bytes) -> None:
        """
        Take a part of the body.
        """
        if self.refusal is not None:
            return
        self._received += len(data)
        if self._received > self._most:
            self.refusal = tooLarge(self._most)
            self.channel.refuse(self)
            return
        super().handleContentChunk(data)

    def connectionLost(self, reason: Failure) -> None:
        """
        Nobody waits for the answer any more.
        """
        self._isGone = True
        if self.producer is not None:
            self.producer.stopProducing()
        super().connectionLost(reason)

    # When it is there.

    def process(self) -> None:
        """
        Answer it.
        """
        if self.refusal is not None:
            self._refuse(self.refusal)
            return
        operation = self._match.operation
        assert operation is not None
        answered = Deferred.fromCoroutine(self._run(operation))
        answered.addCallback(self._answer, operation)
        answered.addErrback(self._failed)
        answered.addErrback(lambda f: self._log.failure("Nothing was answered", f))

    async def _run(self, operation: Operation) -> Answer:
        given = self._given(operation)
        answer: Answer = await operation.run(self.channel.factory.desk, given)
        return answer

    def _given(self, operation: Operation) -> dict[str, Any]:
        """
        Read the parameters.

        @raise Refusal: When they cannot be read.
        """
        query = self.uri.partition(b"?")[2]
        said: list[tuple[Place, Mapping[str, list[Any]]]] = [
            (Place.PATH, self._match.values),
            (Place.QUERY, queryValues(query)),
        ]
        if operation.body is Body.JSON:
            said.append((Place.BODY, bodyValues(self.content.read())))
        given: dict[str, Any] = {}
        for place, values in said:
            given.update(readAll(operation.parameters, place, values))
        if operation.body is Body.MESSAGE:
            given["body"] = self.content
        return given

    def _answer(self, answer: Answer, operation: Operation) -> None:
        if isinstance(answer, Stream):
            self._stream(answer)
        elif isinstance(answer, Text):
            self._write(operation.status, answer.kind, answer.data)
        else:
            self._writeJSON(operation.status, answer)

    def _failed(self, failure: Failure) -> None:
        refusal = refusalOf(failure)
        if refusal is None:
            self._log.failure(
                "The control API could not answer {method} {path}",
                failure,
                method=self._match.operation and self._match.operation.method,
                path=self._match.operation and self._match.operation.path,
            )
            refusal = Refusal(500, "The relay could not do this; its log says why.")
        self._refuse(refusal)

    def _refuse(self, refusal: Refusal) -> None:
        for name, value in refusal.headers.items():
            self.setHeader(name.encode("ascii"), value.encode("ascii"))
        if refusal.status < 300:
            self._write(refusal.status, "", b"")
        else:
            self._writeJSON(refusal.status, {"error": refusal.error})

    def _writeJSON(self, status: int, document: Mapping[str, Any]) -> None:
        self._write(status, JSON, json.dumps(document).encode("ascii") + b"\n")

    def _begin(self, status: int, kind: str) -> None:
        self.setResponseCode(status)
        for name, value in _ALWAYS.items():
            self.setHeader(name.encode("ascii"), value.encode("ascii"))
        if kind:
            self.setHeader(b"Content-Type", kind.encode("ascii"))

    def _write(self, status: int, kind: str, data: bytes) -> None:
        if self._isGone:
            return
        self._begin(status, kind)
        if status != 204:
            self.setHeader(b"Content-Length", b"%d" % len(data))
        self.write(data)
        self.finish()

    def _stream(self, stream: Stream) -> None:
        """
        Answer with a file, as fast as it is read.
        """
        if self._isGone or self.method == b"HEAD":
            stream.file.close()
            self._write(200, stream.kind, b"")
            return
        self._begin(200, stream.kind)
        FileProducer(stream.file, self, self._streamed).begin()

    def _streamed(self, failure: Failure | None) -> None:
        if failure is None:
            self.finish()
            return
        # What was sent is not the whole, which the client is to notice.
        self._log.failure("A content could not be sent to its end", failure)
        self.channel.abort()


def _asksWhatMay(method: bytes, found: Match) -> bool:
    return method == b"OPTIONS" and bool(found.allowed)


def _methodsOf(method: bytes, found: Match) -> Refusal | None:
    """
    Say which methods a path has (RFC 9110 9.3.7).
    """
    if not _asksWhatMay(method, found):
        return None
    return Refusal(204, "", {"Allow": ", ".join(found.allowed)})
