"""
How Sphinx makes a book of these pages.
"""

from relaymail import __version__

project = "relaymail"
author = copyright = "relaymail contributors"
version = release = __version__
root_doc = "index"
exclude_patterns = ["systemd"]
html_theme = "alabaster"
html_theme_options = {"description": "A mail relay on Twisted", "page_width": "70em"}
# The pages are plain reStructuredText, which reads well as it is.
highlight_language = "none"
