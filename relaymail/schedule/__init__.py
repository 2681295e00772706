"""
Who may start now (L{relaymail.schedule.lanes}) and when to try again
(L{relaymail.schedule.backoff}).  Everything here is pure: time and chance come
in as arguments.
"""
