"""
What delivers: the SMTP clients, the relayers that send letters with them, and
the attempts that settle what became of each.

The public names are those of L{relaymail.smtp}, L{relaymail.relay} and
L{relaymail.relaymanager}, which put these together with the other rooms.
"""
