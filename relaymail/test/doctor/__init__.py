"""
Tests for L{relaymail.doctor}.
"""
