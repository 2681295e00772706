"""
Tests for what MAIL and RCPT said, as it is written down.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import (
    NO_ORIGIN,
    NO_PARAMETERS,
    NOTHING_SAID,
    DeliverBy,
    Origin,
    Parameters,
    RecipientParameters,
)
from relaymail.queue.said import (
    MAX_ORIGIN,
    areSound,
    fieldsOf,
    fieldsOfRecipient,
    optionsIn,
    optionsOf,
    originIn,
    originText,
    parametersIn,
    recipientParametersIn,
    shown,
)

#: All that MAIL may say.
ALL = Parameters(
    "BINARYMIME",
    "HDRS",
    "an id",
    utf8=True,
    requireTLS=True,
    priority=-9,
    holdUntil=1_700_000_900.5,
    deliverBy=DeliverBy(1_700_003_600.0, returns=True, traced=True),
    tlsOptional=True,
)
#: Whatever JSON can say.
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=5,
)
NAMES = (
    "body",
    "ret",
    "envid",
    "utf8",
    "requiretls",
    "priority",
    "holdUntil",
    "tlsOptional",
)


class SaidTests(SynchronousTestCase):
    """
    What was said, written and read.
    """

    def test_all(self) -> None:
        """
        All that was said is read back.
        """
        fields = json.loads(json.dumps(fieldsOf(ALL)))
        self.assertEqual(parametersIn(fields), ALL)
        said = RecipientParameters("SUCCESS,DELAY", "utf-8;zoë@c.example")
        fields = json.loads(json.dumps(fieldsOfRecipient(said)))
        self.assertEqual(recipientParametersIn(fields), said)

    def test_nothing(self) -> None:
        """
        Where nothing was said nothing is written, and nothing new is made of it.
        """
        self.assertEqual(fieldsOf(NO_PARAMETERS), {})
        self.assertEqual(fieldsOf(Parameters()), {})
        self.assertEqual(fieldsOfRecipient(NOTHING_SAID), {})
        self.assertIs(parametersIn({}), NO_PARAMETERS)
        self.assertIs(recipientParametersIn({}), NOTHING_SAID)

    def test_P7_damageIsNothingSaid(self) -> None:
        """
        A part that cannot be right was never said; the others were.
        """
        wrong: dict[str, Any] = {
            "body": ["8BIT", 7, None],
            "ret": ["BODY", ["FULL"]],
            "envid": ["x" * 101, "a\nb", 5],
            "utf8": [1, "true"],
            "requiretls": [1, {}],
            "priority": [10, -10, True, 1.0, "1"],
            "holdUntil": [float("nan"), float("inf"), 10**400, True, "5"],
            "deliverBy": [5, [], [1, True], ["1", True, True], [1, 1, 0]],
        }
        for name, values in wrong.items():
            for value in values:
                found = parametersIn({"ret": "FULL", "envid": "ok", name: value})
                sound = {"ret": "FULL", "envid": "ok"}
                sound.pop(name, None)
                self.assertEqual(found, parametersIn(sound), (name, value))

    def test_P7_damageOfRecipients(self) -> None:
        """
        So it is with what RCPT said.
        """
        for notify in ("NEVER,SUCCESS", "DELAY,SUCCESS", "ALL", 5, ["NEVER"]):
            found = recipientParametersIn({"notify": notify, "orcpt": "rfc822;x"})
            self.assertEqual(found, RecipientParameters("", "rfc822;x"))
        for orcpt in ("rfc822;" + "x" * 500, "a\r\nb", 5):
            self.assertIs(recipientParametersIn({"orcpt": orcpt}), NOTHING_SAID)

    def test_notify(self) -> None:
        """
        All that may be wanted is read back.
        """
        for notify in ("NEVER", "SUCCESS,FAILURE,DELAY", "FAILURE", "SUCCESS,DELAY"):
            self.assertEqual(recipientParametersIn({"notify": notify}).notify, notify)

    def test_options(self) -> None:
        """
        The options are an object; what is none, or too long, is damaged.
        """
        self.assertEqual(optionsIn(json.dumps(optionsOf(ALL))), optionsOf(ALL))
        for text in ("", "{", "[]", "5", '{"a": "' + "x" * 5000 + '"}', "[" * 4000):
            self.assertIsNone(optionsIn(text))
        self.assertTrue(areSound(json.dumps(optionsOf(ALL))))
        for text in ("{", '{"priority": 99}', '{"more": 1}'):
            self.assertFalse(areSound(text))

    def test_shown(self) -> None:
        """
        What was said is one line for people, of which nothing is dangerous.
        """
        self.assertEqual(
            shown(ALL, RecipientParameters("FAILURE", "rfc822;x@b.example"), True),
            "BODY=BINARYMIME SMTPUTF8 REQUIRETLS TLS-Required: No RET=HDRS ENVID=an id "
            "MT-PRIORITY=-9 "
            "NOTIFY=FAILURE ORCPT=rfc822;x@b.example "
            "hold until 2023-11-14 22:28:20 UTC "
            "deliver by 2023-11-14 23:13:20 UTC or return it, traced "
            "its sender was told that it is late",
        )
        self.assertEqual(shown(Parameters("8BITMIME"), NOTHING_SAID), "")
        odd = Parameters(envid="a\nb\x1b[2J", holdUntil=1e300)
        odd = replace(odd, deliverBy=DeliverBy(-1e300))
        found = shown(odd, RecipientParameters(orcpt="\u202e"))
        self.assertTrue(found.isprintable(), found)

    @settings(max_examples=50, deadline=None)
    @given(st.dictionaries(st.sampled_from((*NAMES, "deliverBy")), ANYTHING))
    def test_anything(self, fields: dict[str, Any]) -> None:
        """
        Whatever is there, something legal is read, and that is read back.
        """
        found = parametersIn(fields)
        self.assertEqual(parametersIn(json.loads(json.dumps(fieldsOf(found)))), found)


class OriginTests(SynchronousTestCase):
    """
    Where mail came from, written and read.
    """

    def test_text(self) -> None:
        """
        It is the address and the user, and is read back.
        """
        for origin, text in (
            (Origin("192.0.2.1"), "192.0.2.1"),
            (Origin("2001:db8::1%eth0", "al ice"), "2001:db8::1%eth0 al ice"),
            (Origin("", "zoë"), " zoë"),
            (NO_ORIGIN, ""),
        ):
            self.assertEqual(originText(origin), text)
            self.assertEqual(originIn(text), origin)
        self.assertIs(originIn(""), NO_ORIGIN)
        self.assertIs(originIn("192.0.2.1"), originIn("192.0.2.1"))

    def test_whatCannotBeWritten(self) -> None:
        """
        A user that no line can hold is left out; the address stays.
        """
        for user in ("a\nb", "a\ud800", "x" * MAX_ORIGIN):
            self.assertEqual(originText(Origin("192.0.2.1", user)), "192.0.2.1")
        self.assertEqual(originText(Origin("x" * MAX_ORIGIN + "y")), "")

    @given(ANYTHING | st.text(max_size=20))
    @settings(deadline=None, max_examples=50)
    def test_P7_damage(self, text: Any) -> None:
        """
        Whatever stands there is an origin that can be written, or none.
        """
        origin = originIn(text)
        self.assertEqual(originIn(originText(origin)), origin)
