"""
Where mail rests: names, each one (message, recipient), and what is known of
them.

L{relaymail.queue.directory} keeps files as Twisted's relay does and
L{relaymail.queue.memory} keeps nothing when the process ends; both are an
L{IQueue<relaymail.interfaces.IQueue>} over the same
L{Window<relaymail.queue.window.Window>}.
"""
