"""
Attacks with real bytes over real connections, in clear and under TLS: clients that
attack the intake, and hosts that attack whoever gives them mail.
"""
