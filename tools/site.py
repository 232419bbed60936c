"""The course as a site to read: `python -m tools.site` writes build/site, a folder that opens in a browser as it is.

Notebooks are shown as they are committed, and never run; no page asks another host for anything, so widgets and plots
to turn stand as pictures. Sphinx and its theme live in build/site-venv. The page to play, build/site/play, is made by
tools/play.py where npm is there.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tools.badges import MARKED, launch_links
from tools.course import ROOT, lessons, once, setting, solutions

BUILD = ROOT / "build"
SOURCE = BUILD / "site-src"
SITE = BUILD / "site"
VENV = BUILD / "site-venv"
INDEX = (ROOT / "site" / "index.md").read_text(encoding="utf-8")
PAGES = [f"{name}.md" for name in re.findall(r"^(?:docs|data)/\S+$", INDEX, re.M)]
PICTURES = ("docs/pictures/walk.png", "docs/pictures/children.jpg", "data/weights/faces-128-samples.jpg")
LINK = re.compile(r"(\]\()(?!https?:|#|mailto:)([^)#\s]+)((?:#[^)\s]*)?\))")
MERMAID = re.compile(r"^```mermaid\n.*?^```$", re.M | re.S)
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


def prepare_notebook(notebook: dict, path: str, slug: str, revision: str) -> dict:
    """The notebook as the site shows it, in place: links for badges, set-up folded, plots as pictures."""
    colab, binder = launch_links(path, slug, revision)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            elsewhere = f"Open this notebook in [Colab]({colab}) or in [Binder]({binder})."
            text = MARKED.sub(elsewhere, "".join(cell["source"]))
            cell["source"] = links(text, path, slug, revision)
            continue
        tags = cell["metadata"].setdefault("tags", [])
        if {"setup", "parameters"} & set(tags):
            tags.append("hide-input")
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output["data"] = {"image/png": output["data"]["image/png"]}
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

    drawing = f"[The drawing stands on GitHub.](https://github.com/{slug}/blob/{revision}/{path})"
    return MERMAID.sub(drawing, LINK.sub(lead, text))


def prepare(target: Path, slug: str, revision: str, play: bool) -> None:
    """Fill a fresh folder with all that Sphinx reads, in the repository's own order, so that links stay true."""
    made = {name: (ROOT / name).read_bytes() for name in PICTURES}
    made |= {name: (ROOT / "site" / name).read_bytes() for name in ("conf.py", "site.css")}
    made["index.md"] = INDEX.replace("<!-- play -->", FRAME if play else "").encode()
    for name in PAGES:
        made[name] = links((ROOT / name).read_text(encoding="utf-8"), name, slug, revision).encode()
    for path in [*lessons(), *solutions()]:
        name, notebook = path.relative_to(ROOT).as_posix(), json.loads(path.read_text(encoding="utf-8"))
        made[name] = json.dumps(prepare_notebook(notebook, name, slug, revision)).encode()
    shutil.rmtree(target, ignore_errors=True)
    for name, content in made.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(content)


def main() -> int:
    wanted = ROOT / "site" / "requirements.txt"
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted]
    if not once(VENV / "stamp", wanted, [sys.executable, "-m", "venv", "--clear", VENV], install):
        sys.exit("site: its tools could not be installed, see above; is there a network?")
    shutil.rmtree(SITE, ignore_errors=True)
    play = subprocess.run([sys.executable, "-m", "tools.play"], cwd=ROOT).returncode == 0
    if not play:
        print("site: the pages to read are made without the page to play, see above.", flush=True)
    slug = os.environ.get("GITHUB_REPOSITORY", setting("slug"))  # a workflow knows the repository
    prepare(SOURCE, slug, setting("revision"), play)
    # Every warning, a broken internal link above all, is an error.
    command = [python, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", BUILD / "site-doctrees", SOURCE, SITE]
    if subprocess.run(list(map(str, command)), env={**os.environ, "COURSE_SLUG": slug}).returncode:
        return 1
    (SITE / ".nojekyll").touch()  # GitHub Pages would leave out the folders that begin with _
    print(f"site: open {SITE / 'index.html'}, or serve it: {sys.executable} -m http.server --directory {SITE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
