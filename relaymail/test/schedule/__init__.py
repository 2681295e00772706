"""
Tests for L{relaymail.schedule}.
"""
