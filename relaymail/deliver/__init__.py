"""
What delivers: the SMTP clients, the relayers that send letters with them, and
the attempts that settle what became of each.

A client is made of layers, each a class: L{session<relaymail.deliver.session>} (lines
and time), L{transfer<relaymail.deliver.transfer>} (the replies of a transaction),
L{beginning<relaymail.deliver.beginning>} (its parameters), L{overlapping
<relaymail.deliver.overlapping>} (the next one in the same flight), L{smtpclient
<relaymail.deliver.smtpclient>}, L{authenticating<relaymail.deliver.authenticating>}
and L{esmtpclient<relaymail.deliver.esmtpclient>}.

The public names are those of L{relaymail.smtp}, L{relaymail.relay} and
L{relaymail.relaymanager}, which put these together with the other rooms.
"""
