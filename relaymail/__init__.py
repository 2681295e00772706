"""
relaymail: a mail relay on Twisted.

Mail walks one way through these rooms, and what comes back is an outcome per
recipient::

    intake -> queue -> schedule -> route -> deliver -> outcome

L{relaymail.relaymanager} holds the classes that do it, those of Twisted's
documented smart-host relay: a timer from C{RelayStateHelper} ticks
C{_checkState}; C{SmartHostESMTPRelayingManager.checkState} takes due mail from
the queue, asks C{MXCalculator} where it goes, makes an C{_AttemptManager} and an
C{ESMTPManagedRelayerFactory}, whose C{ESMTPManagedRelayer}s speak SMTP and
report back to the attempt manager.

The nouns are L{relaymail.addresses}, L{relaymail.envelopes},
L{relaymail.replies}, L{relaymail.outcomes} and L{relaymail.errors}; the seams
between the rooms are L{relaymail.interfaces}.
"""

__version__ = "0.1.0"
