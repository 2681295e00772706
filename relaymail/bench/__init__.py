"""
What C{relaymail bench} runs: a source of mail and a sink for it, as processes
of their own around a relay::

    source -> the relay -> sink

The runner starts them, tells the sink which mail to expect, and works out from
the times that both wrote down how fast the relay was.  Nothing here needs
Twisted: the load must cost less than what it measures, and a relay that is
measured runs in its own process like any other.
"""
