# -*- test-case-name: relaymail.test.admin.test_operations -*-
"""
Tests for L{relaymail.admin.operations}: what can be asked for, and how a request
finds it.
"""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from relaymail.admin.guarding import MAX_BODY, Body
from relaymail.admin.operations import (
    LARGEST_MESSAGE,
    OPERATIONS,
    largestBody,
    route,
)
from relaymail.admin.parameters import Place


class TableTests(SynchronousTestCase):
    """
    The table.
    """

    def test_changesNeedAType(self) -> None:
        """
        What changes something needs a type that no form can send; what does not
        takes no body.
        """
        for operation in OPERATIONS:
            takes = operation.body is not Body.NONE
            self.assertEqual(takes, operation.method == "POST", operation.path)

    def test_parametersInPaths(self) -> None:
        """
        Each parameter in a path is told of, and no other is said to be there.
        """
        for operation in OPERATIONS:
            steps = operation.path.split("/")
            named = [step[1:-1] for step in steps if step.startswith("{")]
            there = [p.name for p in operation.parameters if p.place is Place.PATH]
            self.assertEqual(there, named, operation.path)

    def test_names(self) -> None:
        """
        No parameter of an operation has the name of another.
        """
        for operation in OPERATIONS:
            names = [parameter.name for parameter in operation.parameters]
            self.assertEqual(len(set(names)), len(names), operation.path)

    def test_unique(self) -> None:
        """
        No operation hides another.
        """
        found = {(operation.method, operation.path) for operation in OPERATIONS}
        self.assertEqual(len(found), len(OPERATIONS))


class RouteTests(SynchronousTestCase):
    """
    From a path to an operation.
    """

    def test_found(self) -> None:
        """
        A path leads to its operation, with what stands in it.
        """
        for method, path, own, values in (
            ("GET", b"/v1/status", "/v1/status", {}),
            ("HEAD", b"/v1/status", "/v1/status", {}),
            ("GET", b"/v1/queue/7", "/v1/queue/{id}", {"id": ["7"]}),
            ("POST", b"/v1/queue/flush", "/v1/queue/flush", {}),
            ("GET", b"/v1/queue/flush", "/v1/queue/{id}", {"id": ["flush"]}),
            (
                "POST",
                b"/v1/destinations/b%C3%BCro.example/suspend",
                "/v1/destinations/{name}/suspend",
                {"name": ["büro.example"]},
            ),
            ("GET", b"/v1/queue/a%2Fb", "/v1/queue/{id}", {"id": ["a/b"]}),
        ):
            match = route(method, path)
            assert match.operation is not None
            self.assertEqual((match.operation.path, match.values), (own, values))
            self.assertIsNone(match.refusal)

    def test_notFound(self) -> None:
        """
        Other paths, and other methods, are refused.
        """
        for method, path, status in (
            ("GET", b"/v1/nothing", 404),
            ("GET", b"v1/status", 404),
            ("GET", b"/v1/queue/%FF", 404),
            ("GET", b"", 404),
            ("DELETE", b"/v1/queue/7", 405),
            ("POST", b"/v1/queue/7", 405),
            ("", b"/v1/status", 405),
        ):
            refusal = route(method, path).refusal
            assert refusal is not None
            self.assertEqual(refusal.status, status, path)

    def test_sizes(self) -> None:
        """
        Only a message may be large.
        """
        for operation in OPERATIONS:
            isMessage = operation.path == "/v1/messages"
            self.assertEqual(largestBody(operation, 7), 7 if isMessage else MAX_BODY)
            self.assertEqual(
                largestBody(operation, 0), LARGEST_MESSAGE if isMessage else MAX_BODY
            )


class PageTests(SynchronousTestCase):
    """
    The page about the API.
    """

    def test_everything(self) -> None:
        """
        What can be asked for is on the page, and nothing else is.
        """
        page = Path(__file__).parents[3] / "docs" / "control.rst"
        if not page.exists():
            raise SkipTest("the pages are not installed")
        told = re.findall(r"``(GET|POST) (/\S*?)``", page.read_text("utf-8"))
        there = [(operation.method, operation.path) for operation in OPERATIONS]
        self.assertEqual(sorted(told), sorted(there))
