# -*- test-case-name: relaymail.test.test_interfaces -*-
"""
Tests for L{relaymail.interfaces}: the seams are stable, and say what they mean.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.interface import InterfaceClass, Method

from relaymail import interfaces

#: What the seed's relay calls on its queue and its attempt manager.
SEED_QUEUE = {
    "readDirectory": (),
    "getWaiting": (),
    "hasWaiting": (),
    "getRelayed": (),
    "addMessage": ("name",),
    "getPath": ("name",),
    "getEnvelope": ("name",),
    "getEnvelopeFile": ("name",),
    "createNewMessage": (),
    "setRelaying": ("name",),
    "setWaiting": ("name", "when", "outcome"),
    "done": ("name", "outcome"),
}


class InterfaceTests(SynchronousTestCase):
    """
    The seams between the rooms.
    """

    def test_everythingExported(self) -> None:
        """
        What is exported is every interface of the module.
        """
        found = {
            name
            for name, value in vars(interfaces).items()
            if isinstance(value, InterfaceClass)
            and value.__module__ == interfaces.__name__
        }
        self.assertEqual(found, set(interfaces.__all__))

    def test_everythingDocumented(self) -> None:
        """
        Every interface, method and attribute says what it means.
        """
        for exported in interfaces.__all__:
            interface = getattr(interfaces, exported)
            self.assertTrue(interface.__doc__, exported)
            for name, described in interface.namesAndDescriptions():
                self.assertTrue(described.__doc__.strip(), f"{exported}.{name}")

    def test_queueHasTheSeedsMethods(self) -> None:
        """
        The seed's methods take the seed's parameters first, and what was added
        may be left out.
        """
        queue: InterfaceClass = vars(interfaces)["IQueue"]
        for name, parameters in SEED_QUEUE.items():
            method = queue.get(name)
            self.assertIsInstance(method, Method)
            info = method.getSignatureInfo()
            self.assertEqual(info["positional"], parameters, name)
            self.assertEqual(info["required"], parameters[:1], name)

    def test_attemptIsBesideTheSeed(self) -> None:
        """
        The attempt's interface adds to the seed's hooks and repeats none.
        """
        seed = {"notifySuccess", "notifyFailure", "notifyDone", "notifyNoConnection"}
        self.assertEqual(seed & set(interfaces.IAttempt.names()), set())
