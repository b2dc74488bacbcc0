"""Sphinx's settings: `sphinx-build -W -b html docs docs/_build`, with anyaio installed."""

import anyaio

project = "anyaio"
author = "the anyaio developers"
copyright = "the anyaio developers"
version = release = anyaio.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
root_doc = "index"
html_theme = "alabaster"
html_theme_options = {"description": "Files and directories on every event loop"}

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
