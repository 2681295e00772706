"""
Where mail goes: from a destination to hosts, from hosts to addresses.

C{aliases}, C{destinations}, C{hosts} and C{smarthosts} are pure; C{mx},
C{lookup}, C{resolver}, C{wire} and C{troubles} are their hands.
"""
