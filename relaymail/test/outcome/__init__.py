"""
Tests for L{relaymail.outcome}.
"""
