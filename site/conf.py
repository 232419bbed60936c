"""How Sphinx makes the site from build/site-src, which tools/site.py fills. No page asks another host for anything."""

import os

from latex2mathml.converter import convert
from myst_nb.core.render import NbElementRenderer

project = "What is latent space?"
author = "the course's authors"
copyright = "text and pictures CC BY 4.0, code MIT"
extensions = ["myst_nb"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
myst_links_external_new_tab = False
nb_execution_mode = "off"  # what is committed is shown
nb_ipywidgets_js = {}  # widgets live in the notebooks only; without this the page would ask two other hosts
nb_merge_streams = True
suppress_warnings = ["myst.header", "mystnb.unknown_mime_type"]

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_search_summary = False  # it would fetch pages, which a browser forbids where a folder is opened
html_permalinks = False
html_math_renderer = "mathml"
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
html_theme_options = {
    "repository_url": f"https://github.com/{os.environ['COURSE_SLUG']}",
    "use_repository_button": True,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_navbar_depth": 1,
    "collapse_navbar": False,
    "home_page_in_toc": True,
    **{f"navbar_{place}": [] for place in ("start", "center", "end", "persistent")},  # all of it is beside the page
}

without_alt = NbElementRenderer.render_image


def render_image(self, data):
    """A notebook's picture with the alt text that stands beside it in the notebook; MyST-NB leaves that out."""
    found = without_alt(self, data)
    for node in found:
        node["alt"] = data.output_metadata.get(data.mime_type, {}).get("alt", "")
    return found


def formula(self, node, display: str) -> None:
    """Visit a formula: write it as MathML and go on behind it."""
    from docutils.nodes import SkipNode

    self.body.append(convert(node.astext(), display=display))
    raise SkipNode


def setup(app):
    NbElementRenderer.render_image = render_image
    app.add_html_math_renderer(
        "mathml",
        (lambda self, node: formula(self, node, "inline"), None),
        (lambda self, node: formula(self, node, "block"), None),
    )
