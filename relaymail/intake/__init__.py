"""
The room where mail comes in, by SMTP, submission or LMTP: a server that says 250 to a
message only once the queue has it for good.

L{relaymail.intake.server} has the factory of the connections,
L{relaymail.intake.connection} the connection, L{relaymail.intake.acceptance}
who may give mail, L{relaymail.intake.limits} every bound.  Who somebody is says
L{relaymail.intake.authentication}, with the users of a file
(L{relaymail.intake.users}) or a program's; whom a proxy speaks for,
L{relaymail.intake.proxied} and L{relaymail.intake.callers}.  What is said is decided
in L{relaymail.dialogue.server}.
"""
