"""
The command C{relaymail}.
"""
