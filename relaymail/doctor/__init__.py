"""
What keeps mail from going, looked for before it does: C{relaymail doctor}.

Each check is a function that asks the system or the network a little, within a
bound, and gives L{answers<relaymail.doctor.answers>}: what was found, and what to
do.  Nothing here needs a relay, a reactor or a privilege.
"""
