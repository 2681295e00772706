"""
Tokens for smart hosts that want them instead of a password (RFC 6749): asked for
where an operator says, kept across restarts, and had anew before they end.

What is said and what an answer means is pure: L{requests
<relaymail.oauth2.requests>}, L{refusals<relaymail.oauth2.refusals>} and L{schedule
<relaymail.oauth2.schedule>}.  The hands are L{fetching<relaymail.oauth2.fetching>},
L{storing<relaymail.oauth2.storing>} and L{accounts<relaymail.oauth2.accounts>}.
"""
