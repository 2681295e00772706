"""
Stories: mail through the whole engine, against hosts that misbehave, in memory.
"""
