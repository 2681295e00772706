"""
The room where mail comes in: an ESMTP server that says 250 to a message only
once the queue has it for good.

L{relaymail.intake.server} has the factory of the connections,
L{relaymail.intake.connection} the connection, L{relaymail.intake.acceptance}
who may give mail, L{relaymail.intake.limits} every bound.  What is said is
decided in L{relaymail.dialogue.server}.
"""
