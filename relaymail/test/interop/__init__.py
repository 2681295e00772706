"""
Tests against other people's programs: they send mail to a relay, or take mail from
it, on this machine.  What is not installed is not tested; the continuous integration
installs all of it.
"""
