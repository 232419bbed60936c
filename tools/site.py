"""The course as a site to read: `python -m tools.site` writes build/site, a folder that opens in a browser as it is.

Notebooks are shown as they are committed, and never run. Sphinx and its theme live in build/site-venv; the scripts that
turn a plot and draw the map come from npm, into the build. Where there is no npm, those two stand as text. The page to
play, build/site/play, is made by tools/play.py where npm is there.
"""

from __future__ import annotations

import hashlib
import html
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from tools.badges import MARKED, PLACEHOLDER, hub_link, launch_links
from tools.course import ROOT, lessons, setting, solutions

BUILD = ROOT / "build"
SOURCE = BUILD / "site-src"
SITE = BUILD / "site"
VENV = BUILD / "site-venv"
PLAY = SITE / "play" / "index.html"
SCRIPTS = {  # package and version on npm, and the one file that is taken from it
    "plotly.js-gl3d-dist-min@3": "plotly-gl3d.min.js",
    "mermaid@11": "dist/mermaid.min.js",
}
PAGES = (
    *(f"docs/{name}.md" for name in ("teaching", "glossary", "map", "ethics", "troubleshooting")),
    "data/README.md",
    *(f"data/weights/{name}.md" for name in ("README", "digits", "furniture")),
)
PICTURES = ("docs/pictures/walk.png", "docs/pictures/children.jpg", "data/weights/faces-64-samples.png")
PLOTLY = "application/vnd.plotly.v1+json"
LINK = re.compile(r"(\]\()(?!https?:|#|mailto:)([^)#\s]+)((?:#[^)\s]*)?\))")
MERMAID = re.compile(r"^```mermaid\n(.*?)^```$", re.M | re.S)


def slug(environment=os.environ) -> str:
    """owner/name on GitHub: that of pyproject.toml, or of the workflow that runs while that is a placeholder."""
    stored = setting("slug")
    return environment.get("GITHUB_REPOSITORY", stored) if stored.startswith(f"{PLACEHOLDER}/") else stored


# --- the sources ------------------------------------------------------------------------------------------------------


def open_elsewhere(path: str, slug: str, revision: str) -> str:
    """Markdown: where to open the notebook at this path in the repository. No picture, so no other host is asked."""
    colab, binder = launch_links(path, slug, revision)
    return (
        f"Open this notebook in [Colab]({colab}) or in [Binder]({binder}).\n\n"
        "<details><summary>Open it in your school’s JupyterHub (nbgitpuller)</summary>\n\n"
        f"Put this behind the hub’s address:\n\n```text\n{hub_link(path, slug, revision)}\n```\n\n</details>"
    )


def turnable(plot: dict, name: str, alt: str, up: str) -> str:
    """HTML of a plot to turn. up: the way from the page to the site's first folder, as in "../"."""
    plot = {**plot, "config": {"displaylogo": False, "responsive": True}}
    plot["layout"] = {**plot.get("layout", {}), "autosize": True}
    plot["layout"].pop("width", None)
    data = json.dumps(plot).replace("</", "<\\/")
    return (
        f'<div id="{name}" class="to-turn" role="img" aria-label="{html.escape(alt, quote=True)}"></div>\n'
        f'<script src="{up}_static/plotly-gl3d.min.js"></script>\n<script>Plotly.newPlot("{name}", {data})</script>'
    )


def prepare_notebook(notebook: dict, path: str, slug: str, revision: str, scripts: bool = True) -> dict:
    """The notebook as the site shows it, in place: links for badges, set-up and parameters folded, plots to turn."""
    up = "../" * path.count("/")
    for number, cell in enumerate(notebook["cells"]):
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            text = MARKED.sub(lambda _: open_elsewhere(path, slug, revision), text)
            cell["source"] = links(text, path, slug, revision)
            continue
        tags = cell["metadata"].setdefault("tags", [])
        if {"setup", "parameters"} & set(tags):
            tags.append("hide-input")
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if PLOTLY in data and scripts:
                alt = output["metadata"].get("image/png", {}).get("alt", "a plot to turn")
                output["data"] = {"text/html": turnable(data[PLOTLY], f"plot-{number}", alt, up)}
    return notebook


def links(text: str, path: str, slug: str, revision: str) -> str:
    """The text of the page at this path; links to what the site does not have lead to the repository instead."""
    shown = {*PAGES, *PICTURES, *(item.relative_to(ROOT).as_posix() for item in [*lessons(), *solutions()])}

    def lead(match: re.Match) -> str:
        target = os.path.normpath(Path(path).parent / match[2]).replace(os.sep, "/")
        if target in shown or not (ROOT / target).exists():  # a link that is broken must stay so: Sphinx says it
            return match[0]
        kind = "tree" if (ROOT / target).is_dir() else "blob"
        return f"{match[1]}https://github.com/{slug}/{kind}/{revision}/{target}{match[3]}"

    return LINK.sub(lead, text)


def drawn_map(text: str, up: str = "../") -> str:
    """The text with its Mermaid drawing as HTML that the shared script draws."""

    def draw(match: re.Match) -> str:
        return (
            f'<pre class="mermaid ideas">\n{html.escape(match[1], quote=False)}</pre>\n'
            f'<script src="{up}_static/mermaid.min.js"></script>\n'
            '<script>mermaid.initialize({startOnLoad: true, theme: "default"})</script>'
        )

    return MERMAID.sub(draw, text)


# The page to play without its later parts, on the front page, and the way to the whole of it. The frame says how high.
FRAME = """
<iframe class="play" src="play/index.html#front" title="Change a face, and mix two people into a child"></iframe>
<script>
addEventListener("message", (event) => {
  const frame = document.querySelector("iframe.play");
  if (event.source === frame.contentWindow && event.data.height > 0) frame.style.height = `${event.data.height}px`;
});
</script>
<p><a class="play" href="play/index.html">
Play on: walk a map of digits, breed a family, mix two photos of your own</a></p>"""


def front_page(text: str, play: bool) -> str:
    """The front page with its lists of notebooks, and what there is to play with where the page to play was made."""
    for mark, paths in (("lessons", lessons()), ("solutions", solutions())):
        names = [path.relative_to(ROOT).with_suffix("").as_posix() for path in paths]
        text = text.replace(f"<!-- {mark} -->", "\n".join(names))
    return text.replace("<!-- play -->", FRAME if play else "").replace("(../docs/", "(docs/")


def prepare(target: Path, slug: str, revision: str, play: bool, scripts: bool) -> None:
    """Fill a fresh folder with all that Sphinx reads, in the repository's own order, so that links stay true."""
    shutil.rmtree(target, ignore_errors=True)
    (target / "_static").mkdir(parents=True)
    shutil.copy(ROOT / "site" / "conf.py", target)
    shutil.copy(ROOT / "site" / "site.css", target / "_static")
    front = (ROOT / "site" / "index.md").read_text(encoding="utf-8")
    (target / "index.md").write_text(front_page(front, play), encoding="utf-8")
    for name in PICTURES:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target / name)
    for name in PAGES:
        text = links((ROOT / name).read_text(encoding="utf-8"), name, slug, revision)
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(drawn_map(text) if scripts else text, encoding="utf-8")
    for path in [*lessons(), *solutions()]:
        name = path.relative_to(ROOT).as_posix()
        notebook = json.loads(path.read_text(encoding="utf-8"))
        prepare_notebook(notebook, name, slug, revision, scripts)
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(json.dumps(notebook), encoding="utf-8")


# --- the tools --------------------------------------------------------------------------------------------------------


def environment() -> Path:
    """The Python of build/site-venv, made or renewed when site/requirements.txt asks for it. SystemExit otherwise."""
    wanted = ROOT / "site" / "requirements.txt"
    stamp, digest = VENV / "stamp", hashlib.sha256(wanted.read_bytes()).hexdigest()
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if stamp.is_file() and stamp.read_text() == digest and python.exists():
        return python
    print(f"site: setting up {VENV.relative_to(ROOT)} (once, about a minute)", flush=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted]
    for command in ([sys.executable, "-m", "venv", "--clear", VENV], install):
        if subprocess.run(list(map(str, command))).returncode:
            sys.exit("site: its tools could not be installed, see above; is there a network?")
    stamp.write_text(digest)
    return python


def fetch_scripts(target: Path) -> bool:
    """Put the browser's scripts, from npm, into the folder; False, after a sentence, where npm cannot."""
    npm, store = shutil.which("npm"), BUILD / "site-npm"
    store.mkdir(parents=True, exist_ok=True)
    for package, file in SCRIPTS.items():
        kept = store / Path(file).name
        if not kept.is_file():
            command = [npm or "npm", "pack", package, "--silent", "--pack-destination", str(store)]
            done = subprocess.run(command, cwd=store, capture_output=True, text=True) if npm else None
            if done is None or done.returncode:
                why = done.stderr.strip()[-200:] if done else "npm is not there"
                print(f"site: {package} could not be fetched ({why}); its pictures stand as text.")
                return False
            archive = store / done.stdout.split()[-1]
            with tarfile.open(archive) as packed:
                kept.write_bytes(packed.extractfile(f"package/{file}").read())
            archive.unlink()
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(kept, target)
    return True


def make_play() -> bool:
    """Whether tools/play.py has made the page to play; it says itself what it lacks."""
    if subprocess.run([sys.executable, "-m", "tools.play"], cwd=ROOT).returncode == 0:
        return True
    print("site: the pages to read are made without the page to play, see above.", flush=True)
    shutil.rmtree(PLAY.parent, ignore_errors=True)
    return False


def run_sphinx(python: Path, slug: str) -> int:
    """Build from SOURCE into SITE; every warning, a broken internal link above all, is an error."""
    command = [python, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", BUILD / "site-doctrees"]
    command += [SOURCE, SITE]
    return subprocess.run(list(map(str, command)), env={**os.environ, "COURSE_SLUG": slug}).returncode


def main(arguments: list[str]) -> int:
    if set(arguments) - {"--without-play"}:
        print("site: the only argument is --without-play")
        return 2
    python = environment()
    for path in SITE.iterdir() if SITE.is_dir() else ():
        if path.name != PLAY.parent.name:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    play = PLAY.is_file() if "--without-play" in arguments else make_play()
    scripts = fetch_scripts(BUILD / "site-npm" / "static")
    prepare(SOURCE, slug(), setting("revision"), play, scripts)
    if scripts:
        shutil.copytree(BUILD / "site-npm" / "static", SOURCE / "_static", dirs_exist_ok=True)
    if run_sphinx(python, slug()):
        return 1
    (SITE / ".nojekyll").touch()  # GitHub Pages would leave out the folders that begin with _
    if slug().startswith(f"{PLACEHOLDER}/"):
        print(f"site: links to Colab and Binder say {PLACEHOLDER} and lead nowhere until make badges SLUG=owner/name")
    print(f"site: open {SITE / 'index.html'}, or serve it: {sys.executable} -m http.server --directory {SITE}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
