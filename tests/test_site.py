"""make site: what is made of notebooks and pages before Sphinx reads them; and the built site in Chromium, offline."""

from __future__ import annotations

import copy
import json
import re
from html.parser import HTMLParser
from pathlib import Path, PurePath
from urllib.parse import unquote, urlsplit

import pytest

from tools import jupyter_page, site
from tools.course import ROOT, lessons

NOTEBOOK = "notebooks/00_start_here.ipynb"
BUILT = sorted(site.SITE.rglob("*.html")) if (site.SITE / "index.html").is_file() else []
PAGES = [path for path in BUILT if not {"_static", "play"} & set(path.relative_to(site.SITE).parts)]
needs_site = pytest.mark.skipif(not PAGES, reason="build/site is not there; `make site` makes it")
needs_chromium = pytest.mark.skipif(jupyter_page.chromium() is None, reason="no Chromium on this machine")


def test_a_page_says_where_to_open_its_notebook_and_shows_pictures_alone():
    notebook = json.loads((ROOT / NOTEBOOK).read_text("utf-8"))
    prepared = site.prepare_notebook(copy.deepcopy(notebook), NOTEBOOK, "someone/course", "main")
    title = prepared["cells"][0]["source"]
    assert f"[Colab](https://colab.research.google.com/github/someone/course/blob/main/{NOTEBOOK})" in title
    assert "![" not in title
    outputs = [output for cell in prepared["cells"] for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert pictures
    assert all(set(output["data"]) == {"image/png"} for output in pictures)
    assert all(output["metadata"]["image/png"]["alt"] for output in pictures)


def test_links_lead_to_the_site_where_it_has_the_page_and_to_the_repository_otherwise():
    def lead(link: str) -> str:
        return site.links(f"[a]({link})", "docs/ethics.md", "someone/course", "main")[4:-1]

    assert lead("../notebooks/07_family_blend.ipynb") == "../notebooks/07_family_blend.ipynb"
    assert lead("glossary.md#words") == "glossary.md#words"
    assert lead("../LICENSE") == "https://github.com/someone/course/blob/main/LICENSE"
    assert lead("../training") == "https://github.com/someone/course/tree/main/training"
    assert lead("gone.md") == "gone.md"  # Sphinx complains, and the build fails
    assert "mermaid" not in site.links("```mermaid\na --> b\n```\n", "docs/map.md", "someone/course", "main")


def test_everything_that_is_shown_is_in_the_folder_for_sphinx(tmp_path):
    site.prepare(tmp_path, "someone/course", "main", play=False)
    front = (tmp_path / "index.md").read_text("utf-8")
    listed = [line for line in front.splitlines() if re.fullmatch(r"[a-z]+/[\w/*-]+", line)]
    for path in [*site.PAGES, *(path.relative_to(ROOT).as_posix() for path in lessons())]:
        assert (tmp_path / path).is_file()
        assert any(PurePath(path).with_suffix("").match(line) for line in listed), f"{path} is in no list"
    assert "docs/teaching.md" in site.PAGES
    assert "play/index.html" not in front
    site.prepare(tmp_path, "someone/course", "main", play=True)
    assert 'href="play/index.html"' in (tmp_path / "index.md").read_text("utf-8")


class Page(HTMLParser):
    """What a page asks for and leads to, and its pictures without alt text."""

    def __init__(self, path: Path):
        super().__init__()
        self.parts, self.leads, self.without_alt = [], [], []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, pairs):
        values = dict(pairs)
        if tag == "a" and values.get("href"):
            self.leads.append(values["href"])
        if source := values.get("src") or (values.get("href") if tag == "link" else None):
            self.parts.append(source)
        if tag == "img" and not values.get("alt"):
            self.without_alt.append(values.get("src"))


@needs_site
def test_links_inside_the_site_lead_somewhere_and_pictures_have_alt_text():
    for path in PAGES:
        page = Page(path)
        assert not [part for part in page.parts if urlsplit(part).netloc], path
        assert not page.without_alt, path
        for link in page.leads + page.parts:
            parts = urlsplit(link)
            if not parts.scheme and parts.path:
                assert (path.parent / unquote(parts.path)).resolve().is_file(), f"{path.name} leads to {link}"


@needs_site
@needs_chromium
def test_every_page_opens_from_the_folder_without_network_error_or_overflow(browser):
    context = browser.new_context(viewport={"width": 360, "height": 740}, offline=True, color_scheme="dark")
    page, complaints, asked = context.new_page(), [], []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    for path in PAGES:
        page.goto(path.as_uri(), wait_until="load")
        assert complaints == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than a phone"
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    context.close()
