# -*- test-case-name: relaymail.test.admin.test_openapi -*-
"""
Tests for L{relaymail.admin.openapi} and L{relaymail.admin.shapes}: the document
says what the API does.
"""

from __future__ import annotations

import json
import re
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.admin.openapi import document
from relaymail.admin.operations import JSON, OPERATIONS
from relaymail.inspection import NameState
from relaymail.test.admin.worlds import API


class DocumentTests(SynchronousTestCase):
    """
    The document.
    """

    def setUp(self) -> None:
        self.document = document()

    def test_whole(self) -> None:
        """
        Every operation is in it, with an id of its own, a summary, its parameters
        and its answers.
        """
        json.dumps(self.document)
        ids = set()
        for operation in OPERATIONS:
            told = self.document["paths"][operation.path][operation.method.lower()]
            ids.add(told["operationId"])
            self.assertTrue(told["summary"].endswith("."))
            self.assertIn(str(operation.status), told["responses"])
            names = {p["name"] for p in told.get("parameters", ())}
            self.assertEqual(
                {n for n in re.findall(r"{(\w+)}", operation.path)} - names, set()
            )
            for parameter in told.get("parameters", ()):
                self.assertTrue(parameter["description"])
        self.assertEqual(len(ids), len(OPERATIONS))

    def test_references(self) -> None:
        """
        What it refers to is there.
        """
        found = set(
            re.findall(r"#/components/schemas/(\w+)", json.dumps(self.document))
        )
        self.assertEqual(found - set(self.document["components"]["schemas"]), set())

    def test_noToken(self) -> None:
        """
        What needs no token is said not to.
        """
        paths = self.document["paths"]
        self.assertEqual(paths["/health"]["get"]["security"], [{}])
        self.assertNotIn("security", paths["/v1/status"]["get"])

    def schemaOf(self, path: str, method: str, status: str) -> Any:
        """
        Give what an answer is said to look like.
        """
        told = self.document["paths"][path][method]["responses"][status]
        return told["content"][JSON]["schema"]

    def check(self, value: Any, schema: Any, where: str) -> None:
        """
        Fail where a value is not what a schema says: of which it knows as much as
        is used here.
        """
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            schema = self.document["components"]["schemas"][name]
        if "oneOf" in schema:
            fitting = [s for s in schema["oneOf"] if set(s["required"]) == set(value)]
            self.assertEqual(len(fitting), 1, where)
            (schema,) = fitting
        if "enum" in schema:
            self.assertIn(value, schema["enum"], where)
        types = schema.get("type", ())
        allowed = tuple(
            kind
            for name in ([types] if isinstance(types, str) else types)
            for kind in _TYPES[name]
        )
        self.assertIn(type(value), allowed, where)
        if isinstance(value, list):
            for each in value:
                self.check(each, schema["items"], f"{where}[]")
        elif isinstance(value, dict):
            self.checkObject(value, schema, where)

    def checkObject(self, value: dict[str, Any], schema: Any, where: str) -> None:
        """
        Fail where an object has not what it is to have, or more.
        """
        told = schema.get("properties", {})
        for name, each in value.items():
            inner = told.get(name) or schema.get("additionalProperties")
            if schema != {"type": "object"}:
                self.assertTrue(inner, f"{where}.{name} is not told of")
                self.check(each, inner, f"{where}.{name}")
        missing = set(schema.get("required", ())) - set(value)
        self.assertEqual(missing, set(), where)

    def test_answersAreAsTheyAreSaidToBe(self) -> None:
        """
        What the API answers looks as the document says.
        """
        api = API()
        api.relay.world.host("192.0.2.25", {"RCPT c@example.org": "451 4.7.1 Later"})
        api.relay.world.exchange("example.org", {"mx.example.org": "192.0.2.25"})
        api.relay.queue.onWaiting = api.relay.manager.wake
        done, kept = api.relay.put("a@example.com", "b@example.org", "c@example.org")
        api.relay.put("", "d@example.net", state=NameState.HELD)
        api.relay.world.run(5)
        for method, path, template in (
            ("get", "/v1/status", ""),
            ("get", "/v1/queue", ""),
            ("get", f"/v1/queue/{kept}", "/v1/queue/{id}"),
            ("get", f"/v1/queue/{done}", "/v1/queue/{id}"),
            ("get", "/v1/destinations", ""),
            ("get", "/v1/top", ""),
            ("get", "/v1/explain?recipient=b@example.org", "/v1/explain"),
            ("get", "/v1/explain?recipient=b@nowhere.example", "/v1/explain"),
            ("get", "/v1/openapi.json", ""),
            ("get", "/health", ""),
            ("get", "/ready", ""),
            ("post", "/v1/queue/hold", ""),
            ("post", "/v1/queue/release", ""),
            ("post", "/v1/reload", ""),
            *(
                ("post", f"/v1/destinations/a.example/{verb}", f"{_NAME}/{verb}")
                for verb in ("suspend", "resume", "flush")
            ),
        ):
            said = {"all": True} if "/queue/" in path else {}
            answer = api.get(path) if method == "get" else api.post(path, said)
            self.assertEqual(answer.status, 200, answer.body)
            schema = self.schemaOf(template or path, method, "200")
            self.check(answer.document, schema, path)
        error = api.get("/v1/queue/nothing").document
        self.check(error, self.schemaOf("/v1/status", "get", "404"), "error")


_NAME = "/v1/destinations/{name}"
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}
