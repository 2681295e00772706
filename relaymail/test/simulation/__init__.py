"""
Simulations: whole lives of messages in random worlds with faults and crashes,
and after each life the books are checked.

L{worlds} makes a world from a seed, L{crashes} sends the relay down at each
moment of a short story, and C{python -m relaymail.test.simulation} runs as many
worlds as one likes.
"""
