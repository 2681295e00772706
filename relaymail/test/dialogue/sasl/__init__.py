"""
Tests of L{relaymail.dialogue.sasl}.
"""
