"""
The spool: mail in an SQLite database.

L{spool<relaymail.queue.spool.spool>} is the queue; what comes goes through
L{arriving<relaymail.queue.spool.arriving>}, what goes through
L{leaving<relaymail.queue.spool.leaving>}, and what rests comes back through
L{reading<relaymail.queue.spool.reading>}, when L{backlog
<relaymail.queue.spool.backlog>} says so.  They ask for L{changes
<relaymail.queue.spool.changes>}, which become L{rows
<relaymail.queue.spool.rows>} in the tables of L{schema
<relaymail.queue.spool.schema>}; where there is no room for all of them, L{triage
<relaymail.queue.spool.triage>} says what is written.

What people ask is read by L{survey<relaymail.queue.spool.survey>}, with what
L{searching<relaymail.queue.spool.searching>} and L{shaping
<relaymail.queue.spool.shaping>} ask of the database; what an operator tells it goes
through L{operating<relaymail.queue.spool.operating>}, as L{orders
<relaymail.queue.spool.orders>}.
"""
