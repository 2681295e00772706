"""
The language of SMTP, both sides, pure: what is said next, what is answered, and how
content looks on the wire.  It knows no transport, no clock and no file.

The server's side begins in L{relaymail.dialogue.server}: its commands are in
L{relaymail.dialogue.serving}, what they read in L{commands
<relaymail.dialogue.commands>} and L{parameters <relaymail.dialogue.parameters>}, and
what they want done is in L{actions <relaymail.dialogue.actions>}.  The client's side is
L{relaymail.dialogue.transaction}: what it asks for is said by L{asking
<relaymail.dialogue.asking>}, by what the host offers (L{extensions
<relaymail.dialogue.extensions>}).  Both authenticate with L{relaymail.dialogue.sasl}.
"""
