"""
What is explained, and what is done: both in the same random worlds, and they must
agree.

L{worlds} makes a world from a seed, L{comparing} asks there what would become of a
message, sends it and compares, and C{python -m relaymail.test.explaining} does so as
often as one likes.
"""
