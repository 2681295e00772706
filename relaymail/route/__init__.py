"""
Where mail goes: from a destination to hosts, from hosts to addresses.

C{aliases}, C{destinations}, C{hosts}, C{smarthosts} with C{smarthosturls} and
C{oauth2accounts}, C{passwords}, C{senderhosts} and C{walk} are pure; C{mx},
C{lookup}, C{resolver}, C{wire} and C{troubles} are their hands.
"""
