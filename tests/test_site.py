"""make site: what is made of notebooks and pages before Sphinx reads them; and the built site in Chromium, offline."""

from __future__ import annotations

import copy
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tools import chromium, site
from tools.course import ROOT, lessons, solutions

SLUG, REVISION = "someone/course", "main"
NOTEBOOKS = {path.relative_to(ROOT).as_posix(): json.loads(path.read_text("utf-8")) for path in lessons()}
SHOWN_MB = 2
BUILT = sorted(site.SITE.rglob("*.html")) if (site.SITE / "index.html").is_file() else []
PAGES = [path for path in BUILT if not {"_static", "play"} & set(path.relative_to(site.SITE).parts)]
needs_site = pytest.mark.skipif(not PAGES, reason="build/site is not there; `make site` makes it")


def prepared(path: str, scripts: bool = True) -> dict:
    return site.prepare_notebook(copy.deepcopy(NOTEBOOKS[path]), path, SLUG, REVISION, True, scripts)


def pictures(notebook: dict) -> list[dict]:
    return [output for output in outputs(notebook) if "image/png" in output.get("data", {})]


def outputs(notebook: dict) -> list[dict]:
    return [output for cell in notebook["cells"] for output in cell.get("outputs", [])]


def text(notebook: dict) -> str:
    return "\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")


# --- the sources ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_a_page_asks_no_other_host_for_a_picture_and_says_where_to_open_its_notebook(path):
    said = text(prepared(path))
    assert not re.findall(r"!\[[^]]*\]\(https?:|<img[^>]+https?:", said)
    assert f"(https://colab.research.google.com/github/{SLUG}/blob/{REVISION}/{path})" in said
    assert f"(https://mybinder.org/v2/gh/{SLUG}/{REVISION}?urlpath=lab/tree/{path})" in said
    (hub,) = re.findall(r"^/hub/user-redirect/git-pull\S+$", said, re.M)
    assert f"repo=https://github.com/{SLUG}&branch={REVISION}&urlpath=lab/tree/course/{path}" in unquote(hub)


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_every_answer_that_is_text_alone_is_a_widget_and_gets_its_sentence(path):
    """A new widget whose text the pattern does not know would stand on the site as a line of text."""
    before = [output for output in outputs(NOTEBOOKS[path]) if output["output_type"] == "execute_result"]
    alone = [output for output in before if set(output["data"]) == {"text/plain"}]
    sentences = [output["data"]["text/html"] for output in outputs(prepared(path)) if "alive" in str(output)]
    assert len(sentences) == len(alone)
    assert all('href="../play/index.html"' in sentence for sentence in sentences)
    assert "href" not in site.alive(None)


def test_pictures_and_alt_text_stay_as_they_are():
    for path, notebook in NOTEBOOKS.items():
        assert pictures(prepared(path)) == pictures(notebook) != []
        assert all(output["metadata"]["image/png"]["alt"] for output in pictures(notebook))


def test_a_plot_to_turn_keeps_its_alt_text_and_cannot_end_its_script():
    plot = {"data": [{"name": "</script><b>"}], "layout": {"width": 900, "title": {"text": "t"}}}
    page = site.turnable(plot, "plot-3", 'Points, "close"', "../")
    assert 'aria-label="Points, &quot;close&quot;"' in page
    assert page.count("</script>") == 2
    assert '"width"' not in page
    found = ["to-turn" in json.dumps(prepared("notebooks/01_compression.ipynb", scripts)) for scripts in (True, False)]
    assert found == [True, False]


def test_links_lead_to_the_site_where_it_has_the_page_and_to_the_repository_otherwise():
    def lead(link: str) -> str:
        return site.links(f"[a]({link})", "docs/ethics.md", SLUG, REVISION)[4:-1]

    assert lead("../notebooks/07_family_blend.ipynb") == "../notebooks/07_family_blend.ipynb"
    assert lead("glossary.md#words") == "glossary.md#words"
    assert lead("../LICENSE") == f"https://github.com/{SLUG}/blob/{REVISION}/LICENSE"
    assert lead("../training") == f"https://github.com/{SLUG}/tree/{REVISION}/training"
    assert lead("https://example.org/a") == "https://example.org/a"
    assert lead("gone.md") == "gone.md"  # Sphinx complains, and the build fails


def test_everything_that_is_shown_is_in_the_folder_for_sphinx(tmp_path):
    site.prepare(tmp_path, SLUG, REVISION, play=False, scripts=True)
    front = (tmp_path / "index.md").read_text("utf-8")
    for path in [*site.PAGES, *(path.relative_to(ROOT).as_posix() for path in [*lessons(), *solutions()])]:
        assert (tmp_path / path).is_file()
        assert re.search(rf"^{re.escape(path.rpartition('.')[0])}$", front, re.M), f"{path} is in no list"
    assert "play/index.html" not in front
    assert 'href="play/index.html"' in site.front_page("<!-- play -->", play=True)
    assert '<pre class="mermaid ideas">' in (tmp_path / "docs" / "map.md").read_text("utf-8")


def test_the_slug_is_that_of_the_workflow_while_it_is_a_placeholder(monkeypatch):
    monkeypatch.setattr(site, "setting", lambda name: "OWNER/course")
    assert site.slug({"GITHUB_REPOSITORY": "me/fork"}) == "me/fork"
    assert site.slug({}) == "OWNER/course"
    monkeypatch.setattr(site, "setting", lambda name: "them/course")
    assert site.slug({"GITHUB_REPOSITORY": "me/fork"}) == "them/course"


def test_what_is_missing_is_a_sentence(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(site, "VENV", tmp_path / "venv")
    monkeypatch.setattr(site, "BUILD", tmp_path)
    monkeypatch.setattr(site.pythons, "find", lambda version: None)
    monkeypatch.setattr(site.shutil, "which", lambda name: None)
    assert site.main([]) == 1
    assert "The site needs Python 3.11 or newer" in capsys.readouterr().out
    assert not site.fetch_scripts(tmp_path / "static")
    assert "npm is not there" in capsys.readouterr().out
    assert site.main(["--fast"]) == 2


# --- the site ---------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a page asks for and leads to, its ids, and its pictures without alt text."""

    def __init__(self, path: Path):
        super().__init__()
        self.parts, self.leads, self.ids, self.without_alt = [], [], set(), []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, pairs):
        values = dict(pairs)
        self.ids.add(values.get("id"))
        if tag == "a" and values.get("href"):
            self.leads.append(values["href"])
        if source := values.get("src") or (values.get("href") if tag == "link" else None):
            self.parts.append(source)
        if tag == "img" and not values.get("alt"):
            self.without_alt.append(values.get("src"))


@needs_site
def test_links_inside_the_site_lead_somewhere_and_pictures_have_alt_text():
    pages = {path.resolve(): Page(path) for path in PAGES}
    for path, page in pages.items():
        assert not [part for part in page.parts if urlsplit(part).netloc], path
        assert not page.without_alt, path
        for link in page.leads + page.parts:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), f"{path.name} leads to {link}"
            if parts.fragment and target in pages and path.name != "search.html":
                assert unquote(parts.fragment) in pages[target].ids, f"{path.name} leads to {link}"


@needs_site
@pytest.mark.skipif(chromium.find() is None, reason="no Chromium on this machine")
def test_every_page_opens_from_the_folder_without_network_error_or_overflow(browser):
    context = browser.new_context(viewport={"width": 360, "height": 740}, offline=True, color_scheme="dark")
    page, complaints, asked = context.new_page(), [], []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    for path in PAGES:
        asked.clear()
        page.goto(path.as_uri(), wait_until="load")
        assert complaints == [], path
        assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
        files = {Path(unquote(urlsplit(url).path)) for url in asked if url.startswith("file:")}
        shared = {"_static", "play"}  # scripts that pages share; the front page shows the page to play in a frame
        own = [file for file in files if not shared & set(file.parts) and file.name != "searchindex.js"]
        assert sum(file.stat().st_size for file in own) < SHOWN_MB * 1e6, path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than a phone"
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    context.close()


@needs_site
@pytest.mark.skipif(chromium.find() is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [360, 1280])
def test_the_front_page_is_a_latent_space(browser, width):
    if not site.PLAY.is_file():
        pytest.skip("the page to play is not built here; `make site` builds it")
    page = browser.new_page(viewport={"width": width, "height": 740})
    page.goto((site.SITE / "index.html").as_uri())
    inside = page.frame_locator("iframe.play")
    inside.locator("#status", has_text="Ready.").wait_for(timeout=120_000)
    for slider, picture in (("#direction-1", "#face canvas"), ("#share", "#child")):
        before = inside.locator(picture).evaluate("canvas => canvas.toDataURL()")
        inside.locator(slider).press("PageUp")
        inside.locator(picture).evaluate(
            "async (it, before) => { while (it.toDataURL() === before) await new Promise(requestAnimationFrame); }",
            before,
        )
    assert not inside.locator("#pad, #own-consent, #siblings, footer").filter(visible=True).count()
    root = inside.locator("html")
    assert root.evaluate("root => root.scrollHeight <= innerHeight && root.scrollWidth <= innerWidth")
    page.close()


@needs_site
@pytest.mark.skipif(chromium.find() is None, reason="no Chromium on this machine")
def test_search_finds_a_word_and_next_leads_to_the_next_notebook(browser):
    page = browser.new_page()
    page.goto((site.SITE / "search.html").as_uri() + "?q=truncation")
    page.locator("#search-results a", has_text="05 · A GAN").first.wait_for(timeout=20_000)
    page.goto((site.SITE / "notebooks" / "05_gan.html").as_uri())
    page.locator("a.right-next").click()
    assert page.url.endswith("06_gan_inversion.html")
    page.close()
