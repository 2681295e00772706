# -*- test-case-name: relaymail.test.test_conformance -*-
"""
C{python -m relaymail.test.conformance}: prints, as JSON, how each test ended
and where the API differs.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import warnings

from relaymail.test.conformance.substitution import substitute


def main() -> int:
    """
    Replace, run, compare and print.

    @return: 0; what was found is in the output.
    """
    substitute()
    # Only now: these import Twisted's tests, which must find our modules.
    from relaymail.test.conformance import api, runner

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as work:
        before = os.getcwd()
        os.chdir(work)
        results = runner.run()
        os.chdir(before)
    # On a line of its own, the last: tests may print too.
    print("\n" + json.dumps({"tests": results, "api": api.differences()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
