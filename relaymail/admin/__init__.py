"""
The control API: how a relay that runs is asked, and told, over HTTP with JSON.

What can be asked for is one table (L{relaymail.admin.operations}): requests are
routed by it, their parameters are checked by it, and the OpenAPI document is made
of it.  Who may ask is judged by L{relaymail.admin.guarding} before anything else,
and before a body is read; L{relaymail.admin.channels} are the hands.
"""
