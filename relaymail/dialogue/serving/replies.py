# -*- test-case-name: relaymail.test.dialogue.test_server -*-
"""
What the commands of a server are answered with (RFC 5321 4.2.2).

Every reply has an enhanced status code (RFC 2034), those of the greeting, of
HELO, of EHLO and of DATA's go-ahead excepted.
"""

from __future__ import annotations

from relaymail.dialogue.actions import Answer
from relaymail.dialogue.answers import answer

OK = Answer(answer(250, "2.0.0", "Ok"))
SENDER_OK = Answer(answer(250, "2.1.0", "Sender ok"))
# RFC 6710 9: the new priority comes first.
PRIORITY_LOWERED = Answer(
    answer(250, "2.3.6", "0 is the priority here of mail from strangers")
)
RECIPIENT_OK = Answer(answer(250, "2.1.5", "Recipient ok"))
GO_AHEAD = Answer(answer(354, "", "Send the message, end it with a dot alone"))
CANNOT_VERIFY = Answer(answer(252, "2.0.0", "Cannot verify; try to send to it"))
BEGIN_TLS = Answer(answer(220, "2.0.0", "Begin TLS"))

SAY_HELLO = answer(503, "5.5.1", "Say HELO or EHLO first")
SAY_LHLO = answer(503, "5.5.1", "Say LHLO first")
AUTHENTICATE_FIRST = answer(530, "5.7.0", "Authenticate first")
SAY_EHLO = answer(503, "5.5.1", "Say EHLO first")
AUTHENTICATED = Answer(answer(235, "2.7.0", "Authenticated"))
AUTHENTICATED_ALREADY = answer(503, "5.5.1", "Who you are was said already")
NO_MECHANISM = answer(504, "5.5.4", "The mechanism is not known here")
TLS_FIRST = answer(538, "5.7.11", "The mechanism is for use under TLS only")
TOO_MANY_FAILURES = answer(421, "4.7.0", "Too many failed attempts to authenticate")
SAY_MAIL = answer(503, "5.5.1", "Say MAIL first")
SENDER_ALREADY = answer(503, "5.5.1", "There is a sender already")
IN_CHUNKS = answer(503, "5.5.1", "A message is coming in chunks; say BDAT or RSET")
NO_CHUNKING = answer(503, "5.5.1", "Say EHLO before BDAT")
NO_RECIPIENTS_YET = answer(503, "5.5.1", "There is no valid recipient")
SAY_BDAT = answer(503, "5.5.1", "A message with BODY=BINARYMIME needs BDAT")
NO_RECIPIENTS = answer(554, "5.5.1", "There is no valid recipient")
UNKNOWN = answer(500, "5.5.1", "The command is not known")
IS_LMTP = answer(500, "5.5.1", "This port is for LMTP: say LHLO")
IS_SMTP = answer(500, "5.5.1", "This port is for SMTP: say EHLO")
NOT_HERE = answer(502, "5.5.1", "The command is not spoken here")
NO_ARGUMENT = answer(501, "5.5.4", "The command takes no argument")
TOO_LARGE = answer(552, "5.3.4", "The message is larger than is taken here")
TOO_MANY_RECIPIENTS = answer(452, "4.5.3", "Too many recipients for one message")
TLS_ALREADY = answer(503, "5.5.1", "TLS is on already")
BEHIND_TLS = answer(503, "5.5.1", "Nothing may come in clear behind STARTTLS")
TOO_MANY_ERRORS = answer(421, "4.7.0", "Too many errors")
TIMED_OUT = answer(421, "4.4.2", "Waited too long")
LEAVING = answer(421, "4.3.2", "The service is going down")
LOCAL_FAILURE = answer(451, "4.3.0", "A failure of this relay")
