"""
Tests of the whole relay: real sockets and real processes, on loopback only.
"""
