"""
MTA-STS (RFC 8461): how the hosts of a destination are to be known and protected, as
the destination says on its web server.

L{policy<relaymail.route.sts.policy>} reads what it says, and is pure; L{policies
<relaymail.route.sts.policies>} has it at hand.
"""
