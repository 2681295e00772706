"""
Tests of L{relaymail.deliver}.
"""
