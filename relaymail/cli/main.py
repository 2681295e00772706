# -*- test-case-name: relaymail.test.cli.test_main -*-
"""
The command C{relaymail} and its parts.

It answers at once: what a part needs is imported when that part runs, and
Twisted's reactor never.
"""

from __future__ import annotations

import click

from relaymail import __version__
from relaymail.cli.bench import bench
from relaymail.cli.importing import importMail


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(
    __version__, prog_name="relaymail", message="%(prog)s %(version)s"
)
def main() -> None:
    """
    Tools for the relay that runs as `twistd relaymail`.
    """


main.add_command(bench)
main.add_command(importMail)

if __name__ == "__main__":
    main()
