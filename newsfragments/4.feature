The service keeps its mail in a spool, an SQLite database that is written in batches: ``--queue spool:FILE``, and the default. A directory queue is recognised and goes on working; ``relaymail import DIR FILE`` moves its mail into a spool.

``relaymail bench`` measures how fast a relay is, relaymail's own or any other, and compares several in one run. ``docs/bench.rst`` describes it.

The number of connections to a destination adapts to what it bears, up to ``--max-connections-per-destination``; a destination that fails again and again is suspended for a while, and costs nothing meanwhile; ``--destination-rate`` and ``--sender-rate`` limit how much is sent in a time; a relaying manager can ``suspend`` and ``resume`` a destination, and says why mail waits (``standingOf``).

``--max-message-size`` says how large a message may be. All messages that come in together take at most 64 MiB of memory, whatever their size and number.
