"""
The drop directory: where local programs leave mail while the relay does not run,
each message a file.

L{relaymail.dropping.files} has the files, for those who write and those who read
them, L{relaymail.dropping.service} what takes them in.
"""
