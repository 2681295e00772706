"""
Reports to domains of how sessions with their hosts were protected (RFC 8460).

How sessions began is told to a L{Reporter<relaymail.tlsreports.reporter>}, which
counts them by domain and day.  When a day is over it asks the DNS which of those
domains want to be told, and tells them, each at a time of its own: by mail, which goes
the way of all mail, or over HTTPS.

What is counted (L{counting<relaymail.tlsreports.counting>}), what a domain says
(L{records<relaymail.tlsreports.records>}), what a report is
(L{report<relaymail.tlsreports.report>}, L{mailing<relaymail.tlsreports.mailing>}) and
when it goes (L{schedule<relaymail.tlsreports.schedule>}) is pure.
"""
