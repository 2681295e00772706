"""
Tests for the spool.
"""
