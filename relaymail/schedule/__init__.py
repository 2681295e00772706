"""
Who may start now (L{relaymail.schedule.scheduler}), how much a site bears
(L{relaymail.schedule.paces}), what a rate allows (L{relaymail.schedule.rates}), and
when to try again (L{relaymail.schedule.backoff}).  Everything here is pure: time
and chance come in as arguments.
"""
