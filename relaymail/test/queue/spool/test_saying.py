"""
Tests for what MAIL and RCPT said, in the database of a spool.
"""

from __future__ import annotations

from relaymail.envelopes import (
    NO_PARAMETERS,
    NOTHING_SAID,
    Envelope,
    Parameters,
    RecipientParameters,
)
from relaymail.queue.said import saysMore
from relaymail.queue.spool.catalogue import Catalogue
from relaymail.queue.spool.changes import Arrival, Place, Telling
from relaymail.queue.spool.recipients import Row, findRow
from relaymail.queue.spool.rows import commit
from relaymail.queue.spool.saying import (
    parametersOf,
    recipientParametersOf,
)
from relaymail.test.queue.contract import MESSAGE, NOW
from relaymail.test.queue.spool.spools import RowsTestCase
from relaymail.test.queue.test_said import ALL

SAID = RecipientParameters("SUCCESS,FAILURE", "rfc822;x@b.example")


class SayingTests(RowsTestCase):
    """
    What was said, in the rows.
    """

    def take(
        self,
        parameters: Parameters = NO_PARAMETERS,
        said: tuple[RecipientParameters, ...] = (),
    ) -> tuple[Row, Row]:
        """
        Take a message for two.
        """
        addresses = ("x@b.example", "y@b.example")
        envelope = Envelope("from@a.example", addresses, parameters, said)
        places = [Place(each, "b.example", NOW, None) for each in addresses]
        change = Arrival(1, envelope, places, MESSAGE, NOW)
        self.assertEqual(commit(self.database, self.bodies, [[change]]), [None])
        one, two = (findRow(self.database, number) for number in (1, 2))
        assert one is not None and two is not None
        return one, two

    def test_all(self) -> None:
        """
        All that MAIL said is in columns of its own, and read from them.
        """
        one, two = self.take(ALL)
        self.assertEqual(parametersOf(one), ALL)
        self.assertEqual(parametersOf(two), ALL)
        self.assertIs(recipientParametersOf(one), NOTHING_SAID)
        ((options,),) = self.ask("SELECT options FROM message")
        self.assertEqual(
            options,
            '{"priority": -9, "holdUntil": 1700000900.5, '
            '"deliverBy": [1700003600.0, true, true], "tlsOptional": true}',
        )

    def test_recipients(self) -> None:
        """
        What RCPT said is with the recipient of whom it was said.
        """
        one, two = self.take(said=(NOTHING_SAID, SAID))
        self.assertIs(recipientParametersOf(one), NOTHING_SAID)
        self.assertEqual(recipientParametersOf(two), SAID)
        self.assertIs(parametersOf(one), NO_PARAMETERS)

    def test_plain(self) -> None:
        """
        Mail of which nothing was said is written as if nothing could be.
        """
        for body in ("", "7BIT", "8BITMIME"):
            self.assertFalse(saysMore(Parameters(body)))
        one, _ = self.take(Parameters("8BITMIME"))
        self.assertEqual(parametersOf(one), Parameters("8BITMIME"))
        inserts = [each for step, each in self.steps if step == "INSERT"]
        self.assertFalse([each for each in inserts if "envid" in each], inserts)

    def test_each(self) -> None:
        """
        Whatever it is that was said, it is more.
        """
        for name in ("ret", "envid", "utf8", "requireTLS", "priority"):
            self.assertTrue(saysMore(Parameters(**{name: getattr(ALL, name)})), name)
        self.assertTrue(saysMore(Parameters(holdUntil=0.0)))
        self.assertTrue(saysMore(Parameters(deliverBy=ALL.deliverBy)))

    def test_P7_damagedOptions(self) -> None:
        """
        Options that cannot be read cost nothing but themselves.
        """
        self.take(ALL, (SAID, SAID))
        for options in ("{", "[1]", '{"priority": 99}', "\0", b"\xff"):
            self.ask("UPDATE message SET options = ?", options)
            row = findRow(self.database, 1)
            assert row is not None
            entry = Catalogue(self.database, self.bodies).entry(row)
            found = entry.parameters
            self.assertEqual(
                (found.envid, found.ret, found.utf8), ("an id", "HDRS", True)
            )
            self.assertEqual((found.priority, found.holdUntil), (0, None))
            self.assertEqual(entry.recipientParameters, SAID)

    def test_P7_damagedColumns(self) -> None:
        """
        So it is with the other columns, whatever is in them.
        """
        self.take(ALL, (SAID, SAID))
        for value in ("\n", b"\xff\xfe", 5, 1.5):
            self.ask("UPDATE message SET body = ?, ret = ?, envid = ?", *[value] * 3)
            self.ask("UPDATE recipient SET notify = ?, orcpt = ?", value, value)
            row = findRow(self.database, 1)
            assert row is not None
            self.assertEqual(parametersOf(row).ret, "")
            self.assertEqual(parametersOf(row).body, "")
            self.assertTrue(parametersOf(row).requireTLS)
            self.assertEqual(recipientParametersOf(row).notify, "")

    def test_told(self) -> None:
        """
        That the sender was told is written with the recipient.
        """
        self.take()
        self.assertEqual(commit(self.database, self.bodies, [[Telling(2)]]), [None])
        self.assertEqual(self.ask("SELECT id, told FROM recipient"), [(1, 0), (2, 1)])
