# -*- test-case-name: relaymail.test.configuration.test_comparing -*-
"""
What has changed between two configurations, for a relay that is to go on with the
new one.
"""

from __future__ import annotations

from relaymail.configuration.tables import BY_PATH, OPTIONS, Configuration


def changes(old: Configuration, new: Configuration) -> list[str]:
    """
    Give the paths of the options that differ, such as
    C{"delivery.max-connections"}, in the order of the page.
    """
    return [one.path for one in OPTIONS if one.valueIn(old) != one.valueIn(new)]


def needRestart(paths: list[str]) -> list[str]:
    """
    Give those of some options of which a change is only seen by a new start.

    @param paths: Paths, as L{changes} gives them.
    """
    return [path for path in paths if BY_PATH[path].said.restart]
