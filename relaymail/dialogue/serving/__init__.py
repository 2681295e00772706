"""
What a server answers to each command: the parts of L{relaymail.dialogue.server}.

A command is a function of the session and its argument that gives what is to be
done; which of them may be said when is the table of the server.  What EHLO offers is
in L{keywords<relaymail.dialogue.serving.keywords>}, and where a session stands in
L{session<relaymail.dialogue.serving.session>}.
"""
