"""
Tests for L{relaymail.queue}.
"""
