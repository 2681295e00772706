"""
What became of mail: the one judge (L{relaymail.outcome.verdicts}), the line it
leaves in the log (L{relaymail.outcome.lines}) and what its sender is told
(L{relaymail.outcome.notices}).  Everything here is pure.
"""
