# -*- test-case-name: relaymail.test.test_conformance -*-
"""
Runs Twisted's own tests of its relay, those it skips on Python 3 included,
against relaymail's modules, and compares names and parameters with the API that
Twisted documents.

C{python -m relaymail.test.conformance} does it in a process of its own, because
modules of C{twisted.mail} are replaced there.
"""
