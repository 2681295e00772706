``relaymail bench`` measures how fast a relay is, relaymail's own or any other, and compares several in one run. ``docs/bench.rst`` describes it.
