The service keeps its mail in a spool, an SQLite database that is written in batches: ``--queue spool:FILE``, and the default. A directory queue is recognised and goes on working; ``relaymail import DIR FILE`` moves its mail into a spool.

``relaymail bench`` measures how fast a relay is, relaymail's own or any other, and compares several in one run. ``docs/bench.rst`` describes it.
