"""
The matrix: every class of reply in every phase of a session, and a connection
that is cut at every byte.

L{cases} is the table, L{places} what it is made of; L{test_replies} makes a
test of each of its rows, and L{test_cuts} cuts connections.
"""
